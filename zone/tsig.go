package zone

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// A Key signs questions and transfers, and the answers to them (TSIG, RFC 8945).
type Key struct {
	Name      string // as in the server's key statement
	Algorithm string // such as "hmac-sha256"
	Secret    Secret
}

// A Secret prints, marshals and logs as "redacted". Only Reveal gives it away.
// The zero value is no secret at all.
type Secret struct {
	// A pointer, because fmt calls no method on what lies in the unexported field
	// of somebody's struct, and would print a string there.
	base64 *string
}

// ParseSecret reads a secret in base64, as a key statement has it. The *ValueError does
// not hold the text.
func ParseSecret(text string) (Secret, error) {
	if decoded, err := base64.StdEncoding.DecodeString(text); err != nil || len(decoded) == 0 {
		return Secret{}, &ValueError{Field: "secret", Value: redacted, Reason: "it is not in base64"}
	}
	return Secret{base64: &text}, nil
}

// Reveal returns the secret in base64, "" for the zero value.
func (s Secret) Reveal() string {
	if s.base64 == nil {
		return ""
	}
	return *s.base64
}

const redacted = "redacted"

// String returns "redacted".
func (Secret) String() string { return redacted }

// Format prints "redacted", whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText returns "redacted".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// keyAlgorithms are those that named has and the signing here knows.
var keyAlgorithms = []string{"hmac-sha256", "hmac-sha512", "hmac-sha384", "hmac-sha224", "hmac-sha1"}

// OpenKey reads a file with one key statement, as tsig-keygen and
// rndc-confgen -a write it.
func OpenKey(path string) (Key, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Key{}, err
	}
	return ParseKey(path, data)
}

// ParseKey reads one key statement, with named.conf's comments:
//
//	key "transfer" {
//		algorithm hmac-sha256;
//		secret "c2VjcmV0IQ==";
//	};
//
// Errors carry name and the line, and never quote a secret.
func ParseKey(name string, data []byte) (Key, error) {
	words := keyWords(string(data))
	fail := func(line int, format string, args ...any) (Key, error) {
		return Key{}, &ParseError{File: name, Line: line, Err: fmt.Errorf(format, args...)}
	}
	last := 1
	take := func() keyWord {
		if len(words) == 0 {
			return keyWord{line: last}
		}
		w := words[0]
		words, last = words[1:], w.line
		return w
	}
	if w := take(); !w.is("key") {
		return fail(w.line, "a key statement was expected")
	}
	key := Key{Name: take().text}
	if _, ok := dns.IsDomainName(key.Name); !ok || key.Name == "{" {
		return fail(last, "%q is no name for a key", key.Name)
	}
	if w := take(); !w.is("{") {
		return fail(w.line, "\"{\" was expected after the name of the key")
	}
	for {
		option := take()
		if option.is("}") {
			break
		}
		value := take()
		if end := take(); !end.is(";") {
			return fail(end.line, "a \";\" is missing in the key statement")
		}
		switch {
		case option.is("algorithm"):
			key.Algorithm = strings.ToLower(value.text)
			if !slices.Contains(keyAlgorithms, key.Algorithm) {
				// Not quoted: it may be the secret, in the wrong place.
				return fail(value.line, "the algorithm is not one of %s", strings.Join(keyAlgorithms, ", "))
			}
		case option.is("secret"):
			secret, err := ParseSecret(value.text)
			if err != nil {
				return fail(value.line, "%w", err)
			}
			key.Secret = secret
		default:
			return fail(option.line, "a key has an algorithm and a secret, and nothing else")
		}
	}
	if w := take(); !w.is(";") {
		return fail(w.line, "a \";\" is missing after the key statement")
	}
	if key.Algorithm == "" || key.Secret.Reveal() == "" {
		return fail(last, "the key %q lacks its algorithm or its secret", key.Name)
	}
	if len(words) > 0 {
		return fail(words[0].line, "one key statement was expected, and more follows")
	}
	return key, nil
}

// A keyWord is a word of named.conf, or one of { } ;
type keyWord struct {
	text   string
	quoted bool
	line   int
}

func (w keyWord) is(text string) bool { return !w.quoted && strings.EqualFold(w.text, text) }

// keyWords splits a key statement. A comment or a string that does not end runs
// to the end of the text, where the statement's own end is then missed.
func keyWords(text string) []keyWord {
	var words []keyWord
	line := 1
	for text != "" {
		size := 1
		switch {
		case strings.HasPrefix(text, "#"), strings.HasPrefix(text, "//"):
			size = upTo(text, "\n", 0)
		case strings.HasPrefix(text, "/*"):
			size = upTo(text[2:], "*/", 2) + 2
		case text[0] == '"':
			size = upTo(text[1:], `"`, 1) + 1
			words = append(words, keyWord{strings.Trim(text[:size], `"`), true, line})
		case strings.ContainsRune("{};", rune(text[0])):
			words = append(words, keyWord{text[:1], false, line})
		case strings.ContainsRune(" \t\r\n", rune(text[0])):
		default:
			if size = strings.IndexAny(text, " \t\r\n{};\"#"); size < 0 {
				size = len(text)
			}
			words = append(words, keyWord{text[:size], false, line})
		}
		line += strings.Count(text[:size], "\n")
		text = text[size:]
	}
	return words
}

// upTo returns how long text is up to the end of the mark, of which the last
// bytes count, or all of it.
func upTo(text, mark string, bytes int) int {
	if i := strings.Index(text, mark); i >= 0 {
		return i + bytes
	}
	return len(text)
}

// name is the key's name as miekg/dns wants it.
func (k *Key) name() string { return dns.CanonicalName(k.Name) }

// secrets is the key as miekg/dns wants it.
func (k *Key) secrets() map[string]string { return map[string]string{k.name(): k.Secret.Reveal()} }

// sign has m signed when it is packed. The five minutes of clock difference are
// those that RFC 8945, section 10, recommends.
func (k *Key) sign(m *dns.Msg) {
	m.SetTsig(k.name(), dns.Fqdn(k.Algorithm), 300, time.Now().Unix())
}

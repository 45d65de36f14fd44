package netbsdcfg

import (
	"context"
	"net/netip"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// A MyGate is an /etc/mygate or /etc/mygate6: the gateway that rc.d/network
// routes to by default if rc.conf leaves defaultroute, or defaultroute6, empty
// or unset. Its words go to route(8) as they are. With the kat of rc.subr(8) a
// comment is cut off and a last line without newline is lost; with cat(1), in
// other versions, neither is so. What is said here holds for both.
//
// Bytes of an unchanged MyGate are the bytes that were parsed, and setting the
// gateway that is there changes nothing.
type MyGate struct {
	file *textfile.File
	text string
}

// ParseMyGate reads a text; name is for messages. The only error is a
// *ParseError for a NUL byte.
func ParseMyGate(name string, data []byte) (*MyGate, error) {
	return newMyGate(textfile.Parse(name, data))
}

// OpenMyGate reads the file at path. The error is os.ErrNotExist if there is
// none.
func OpenMyGate(path string) (*MyGate, error) {
	file, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newMyGate(file)
}

// CreateMyGate starts an empty file at path, with mode 0644: os.ErrExist if it is
// there, and Save fails if it has appeared by then.
func CreateMyGate(path string) (*MyGate, error) {
	file, err := textfile.Create(path, 0o644)
	if err != nil {
		return nil, err
	}
	return newMyGate(file)
}

func newMyGate(file *textfile.File) (*MyGate, error) {
	if err := noNUL(file); err != nil {
		return nil, err
	}
	return &MyGate{file: file, text: string(file.Original())}, nil
}

// Bytes returns the text as it is now.
func (g *MyGate) Bytes() []byte { return []byte(g.text) }

// Changes returns a unified diff from what was read to what is now, "" if they
// are the same.
func (g *MyGate) Changes() string { return g.file.Changes(g.Bytes()) }

// Save replaces the file if it was changed. See [ErrStale].
func (g *MyGate) Save(ctx context.Context) error { return g.file.Save(ctx, g.Bytes()) }

// Gateway returns the first word that is not in a comment: an address, or a
// name of /etc/hosts. It returns "" if the file sets no gateway.
func (g *MyGate) Gateway() string {
	word, _ := g.find()
	return word
}

// find returns the gateway and its line.
func (g *MyGate) find() (gateway string, line int) {
	for text := range strings.Lines(g.text) {
		line++
		text, _, _ = strings.Cut(text, "#")
		if words := strings.Fields(text); len(words) > 0 {
			return words[0], line
		}
	}
	return "", 0
}

// Set makes an address the gateway, and the only text of the file: a comment
// would reach route(8). The error is a *ValueError for what is no address of a
// gateway.
func (g *MyGate) Set(gateway netip.Addr) error {
	zone := gateway.Zone() // any text, as far as netip cares
	if !gateway.IsValid() || gateway.Is4In6() || gateway.IsUnspecified() || gateway.IsMulticast() || zone != "" && !ifaceName(zone) {
		return refusal("gateway", gateway.String(), "is not the address of a gateway")
	}
	if g.Gateway() != gateway.String() {
		g.text = gateway.String() + "\n"
	}
	return nil
}

// Unset empties the file, so that it sets no gateway, and reports whether there
// was one.
func (g *MyGate) Unset() bool {
	found := g.Gateway() != ""
	if found {
		g.text = ""
	}
	return found
}

// Check reports what would reach route(8) beside the gateway, and what would be
// lost.
func (g *MyGate) Check() Problems {
	var found Problems
	add := func(line int, message string) {
		found = append(found, Problem{File: g.file.Name(), Line: line, Severity: Error, Message: message})
	}
	line, words := 0, 0
	for text := range strings.Lines(g.text) {
		line++
		before, _, comment := strings.Cut(text, "#")
		if comment {
			add(line, "a comment, which reaches route(8) where rc.d/network reads the file with cat: remove it")
		}
		if words += len(strings.Fields(before)); words > 1 && len(strings.Fields(before)) > 0 {
			add(line, "more than one word, and all of them are arguments of route add default: leave the gateway alone in the file")
		}
		if strings.Contains(text, "\r") {
			add(line, "the line ends in CR LF, and the CR becomes part of the address: remove it")
		}
		if !strings.HasSuffix(text, "\n") {
			add(line, "the last line has no newline, and the kat of rc.subr(8) does not read it: add one")
		}
	}
	return found
}

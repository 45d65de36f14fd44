package netbsdcfg

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rehost/rehost/internal/textfile"
)

// An RC is an rc.conf(5), or a file of /etc/rc.conf.d: a shell script that
// rc(8) sources. Nothing of it is ever executed here. It reads plain
// assignments, as the shell would: quotes are removed, several may stand on a
// line, and the last one of a variable wins. All else (a conditional, a
// command, a value with a $ in it) is kept, reported by Check, and makes the
// variables that it may set unknown. A file that it reads with "." may set any
// variable, so those assigned above that line are unknown, too; what is
// assigned below it is not. An exit or return outside a conditional ends the
// reading.
//
// What is true of it, whatever the text:
//
//   - Bytes of an unchanged RC are the bytes that were parsed.
//   - Setting the value that is there changes nothing.
//   - An edit changes only the lines it names, and no other variable.
//   - Parsing the result again returns what was set.
//   - A failed edit, one that returns an error or false, changes nothing.
//
// A script that the shell would refuse is kept, too: Check says where it
// breaks, no variable is known and every edit fails.
type RC struct {
	file *textfile.File
	text string
	view *script // of text; nil until it is needed
}

// ParseRC reads a script; name is for messages. The only error is a
// *ParseError for a NUL byte: that is no text.
func ParseRC(name string, data []byte) (*RC, error) {
	return newRC(textfile.Parse(name, data))
}

// OpenRC reads the script at path. The error is os.ErrNotExist if there is
// none.
func OpenRC(path string) (*RC, error) {
	file, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newRC(file)
}

// CreateRC starts an empty script at path, with mode 0644: os.ErrExist if it is
// there, and Save fails if it has appeared by then.
func CreateRC(path string) (*RC, error) {
	file, err := textfile.Create(path, 0o644)
	if err != nil {
		return nil, err
	}
	return newRC(file)
}

func newRC(file *textfile.File) (*RC, error) {
	if err := noNUL(file); err != nil {
		return nil, err
	}
	return &RC{file: file, text: string(file.Original())}, nil
}

// noNUL refuses a file with a NUL byte, which each of its readers would take
// for something else.
func noNUL(file *textfile.File) error {
	before, _, found := bytes.Cut(file.Original(), []byte{0})
	if !found {
		return nil
	}
	col := len(before) - bytes.LastIndexByte(before, '\n')
	return &ParseError{File: file.Name(), Line: bytes.Count(before, []byte{'\n'}) + 1, Col: col,
		Err: errors.New("a NUL byte: this is no text file")}
}

// Bytes returns the script as it is now.
func (r *RC) Bytes() []byte { return []byte(r.text) }

// Changes returns a unified diff from what was read to what is now, "" if they
// are the same.
func (r *RC) Changes() string { return r.file.Changes(r.Bytes()) }

// Save replaces the file if it was changed. See [ErrStale].
func (r *RC) Save(ctx context.Context) error { return r.file.Save(ctx, r.Bytes()) }

// Get returns the value that the shell has assigned to a variable when it has
// read the script. It returns false if the script does not assign it, or if
// that cannot be known without running it (Check tells the two apart). The
// defaults of /etc/defaults/rc.conf are not looked at.
func (r *RC) Get(key string) (string, bool) {
	s := r.script()
	if i, ok := s.vars[key]; ok && i != unknown {
		return s.assigns[i].value, true
	}
	return "", false
}

// All returns each variable that Get knows and its value, in the order of the
// assignments that count.
func (r *RC) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		s := r.script()
		for i, a := range s.assigns {
			if s.vars[a.key] == i && !yield(a.key, a.value) {
				return
			}
		}
	}
}

// Enabled reports whether a service, such as "pf", is switched on. It reads the
// value as checkyesno of rc.subr(8) does: YES, TRUE, ON and 1 are on, NO, FALSE,
// OFF and 0 are off, in any case. ok is false if the script does not say, or
// says something else, which rc(8) warns about and takes for off.
func (r *RC) Enabled(service string) (on, ok bool) {
	value, ok := r.Get(service)
	if !ok {
		return false, false
	}
	return yesno(value)
}

// Enable sets a service to YES or NO. A value that means the same already, such
// as "yes", stays.
func (r *RC) Enable(service string, on bool) error {
	if now, ok := r.Enabled(service); ok && now == on {
		return nil
	}
	if on {
		return r.Set(service, "YES")
	}
	return r.Set(service, "NO")
}

// Set assigns a value. It edits the assignment that counts and keeps its quotes
// and the comment behind it; where no assignment counts, it adds one at the end
// of the file. What the present quotes cannot hold gets other quotes.
//
// The error is a *ValueError for a key that is no variable name, for a value
// that is not one line of UTF-8 text without control characters (a list of
// lines for an interface belongs into its file, or has a ; between them), and
// where no line would surely be read, such as behind a backslash at the end of
// the file; it is a *ParseError if the script is broken.
func (r *RC) Set(key, value string) error {
	if !validKey(key) {
		return refusal("rc.conf variable", key, "is not a name of letters, digits and underscores")
	}
	if old, ok := r.Get(key); ok && old == value {
		return nil
	}
	if i := strings.IndexFunc(value, unicode.IsControl); i >= 0 || !utf8.ValidString(value) {
		return refusal(key, value, "is not one line of text")
	}
	s := r.script()
	if s.err != nil {
		return r.broken()
	}
	if !r.edit(r.withValue(s, key, value), key, &value) {
		return refusal(key, value, "cannot be set in a place that the shell surely reads, and as a line of its own")
	}
	return nil
}

// withValue returns the text with a variable set.
func (r *RC) withValue(s *script, key, value string) string {
	if i, ok := s.vars[key]; ok && i != unknown {
		a := s.assigns[i]
		text := r.text[:a.valueAt] + quoteLike(r.text[a.valueAt:a.end], value) + r.text[a.end:]
		if a.end == len(r.text) {
			text += "\n"
		}
		return text
	}
	head := r.text[:lineStart(r.text, s.end)]
	if s.end == len(r.text) {
		head = r.text
	}
	line := key + "=" + quoteLike("", value) + "\n"
	if head != "" && !strings.HasSuffix(head, "\n") {
		line = "\n" + line
	}
	return head + line + r.text[len(head):]
}

// Unset removes all assignments of a variable, so that none of them counts, and
// reports whether it did: not if there is none, or if the shell would refuse
// what is left of a line. A line that holds nothing else goes with them. What
// is not a plain assignment stays.
func (r *RC) Unset(key string) bool {
	var b strings.Builder
	done := 0
	for _, a := range r.script().assigns {
		if a.key != key {
			continue
		}
		from, to := a.cut(r.text)
		b.WriteString(r.text[done:max(done, from)]) // two cuts on one line may overlap
		done = max(done, to)
	}
	return done > 0 && r.edit(b.String()+r.text[done:], key, nil)
}

func (r *RC) script() *script {
	if r.view == nil {
		r.view = readScript(r.text)
	}
	return r.view
}

// edit makes text the script if all that it changes for the shell is one
// variable: value is what that must be then, nil for unset or unknown. So an
// edit is right because it was read again, not because of what it wrote.
func (r *RC) edit(text, key string, value *string) bool {
	now := readScript(text)
	if !now.sameBut(key, r.script()) {
		return false
	}
	i, ok := now.vars[key]
	known := ok && i != unknown
	if known != (value != nil) || known && now.assigns[i].value != *value {
		return false
	}
	r.text, r.view = text, now
	return true
}

func (r *RC) broken() error {
	err := *r.script().err
	err.File = r.file.Name()
	return &err
}

// yesno is checkyesno of rc.subr(8). (In upper case, an s beyond ASCII would
// make a YES.)
func yesno(value string) (on, ok bool) {
	switch strings.ToLower(value) {
	case "yes", "true", "on", "1":
		return true, true
	case "no", "false", "off", "0":
		return false, true
	}
	return false, false
}

// validKey reports whether a text is a variable name, POSIX 3.216.
func validKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return key != ""
}

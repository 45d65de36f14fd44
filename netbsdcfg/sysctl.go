package netbsdcfg

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rehost/rehost/internal/textfile"
)

// An OS says whose sysctl.conf a text is. The zero value is invalid: the two
// share the name of the file, little of its syntax and few variables.
type OS int

// The systems whose sysctl.conf is understood.
const (
	NetBSD OS = iota + 1 // sysctl.conf(5) of NetBSD, read by sysctl(8) with fparseln(3)
	Linux                // sysctl.conf(5) of procps and sysctl.d(5) of systemd
)

// String returns "NetBSD" or "Linux".
func (os OS) String() string {
	switch os {
	case NetBSD:
		return "NetBSD"
	case Linux:
		return "Linux"
	}
	return fmt.Sprintf("OS(%d)", int(os))
}

// A Sysctl is a sysctl.conf: kernel variables that are set at boot, one on a
// line, the last one of a name wins. In NetBSD's a # begins a comment anywhere,
// a backslash joins lines, and no blank may stand before the =; in Linux's a
// comment is a line of its own and begins with # or ;, blanks around the = do
// not matter, and a - before the name forgives errors.
//
// Names are given and returned with dots between their parts. A file may have
// slashes instead: net/ipv4/conf/eth0.5/forwarding is, with dots,
// net.ipv4.conf.eth0/5.forwarding.
//
// Bytes of an unchanged Sysctl are the bytes that were parsed, setting the
// value that is there changes nothing, an edit changes only the lines it names,
// what was set is read again, and an edit that returns an error or false
// changes nothing.
type Sysctl struct {
	file  *textfile.File
	os    OS
	lines []string
}

// ParseSysctl reads a text for a system; name is for messages. The error is a
// *ParseError for a NUL byte, and a *ValueError for an OS that is none.
func ParseSysctl(name string, os OS, data []byte) (*Sysctl, error) {
	return newSysctl(textfile.Parse(name, data), os)
}

// OpenSysctl reads the file at path. The error is os.ErrNotExist if there is
// none.
func OpenSysctl(path string, os OS) (*Sysctl, error) {
	file, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newSysctl(file, os)
}

// CreateSysctl starts an empty file at path, with mode 0644: os.ErrExist if it is
// there, and Save fails if it has appeared by then.
func CreateSysctl(path string, os OS) (*Sysctl, error) {
	file, err := textfile.Create(path, 0o644)
	if err != nil {
		return nil, err
	}
	return newSysctl(file, os)
}

func newSysctl(file *textfile.File, os OS) (*Sysctl, error) {
	if os != NetBSD && os != Linux {
		return nil, refusal("OS", os.String(), "is neither NetBSD nor Linux")
	}
	if err := noNUL(file); err != nil {
		return nil, err
	}
	return &Sysctl{file: file, os: os, lines: textfile.Lines(file.Original())}, nil
}

// Bytes returns the text as it is now.
func (s *Sysctl) Bytes() []byte { return textfile.Join(s.lines) }

// Changes returns a unified diff from what was read to what is now, "" if they
// are the same.
func (s *Sysctl) Changes() string { return s.file.Changes(s.Bytes()) }

// Save replaces the file if it was changed. See [ErrStale].
func (s *Sysctl) Save(ctx context.Context) error { return s.file.Save(ctx, s.Bytes()) }

// Get returns the value that a variable is set to last. It returns false if the
// file does not set it.
func (s *Sysctl) Get(name string) (string, bool) {
	value, ok := "", false
	for _, e := range s.entries() {
		if e.sets && e.name == name {
			value, ok = e.value, true
		}
	}
	return value, ok
}

// All returns each variable and its value, in the order of the lines that
// count.
func (s *Sysctl) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		entries := s.entries()
		last := lastEntries(entries)
		for i, e := range entries {
			if e.sets && last[e.name] == i && !yield(e.name, e.value) {
				return
			}
		}
	}
}

// Set sets a variable. It edits the line that counts and keeps its comment, or
// adds a line at the end. The error is a *ValueError for a name that the system
// does not have (net.ipv4.ip_forward in a file of NetBSD), and for a value that
// is not one line, is empty, begins or ends with a blank, or holds a # or a
// backslash, which may be a comment or join lines.
func (s *Sysctl) Set(name, value string) error {
	if !sysctlName(name) {
		return refusal("sysctl variable", name, "is not a name with dots between its parts")
	}
	if old, ok := s.Get(name); ok && old == value {
		return nil
	}
	if reason := s.os.foreign(name); reason != "" {
		return refusal("sysctl variable", name, reason)
	}
	if strings.TrimSpace(value) != value || value == "" || strings.ContainsAny(value, `#\`) ||
		!utf8.ValidString(value) || strings.IndexFunc(value, unicode.IsControl) >= 0 {
		return refusal(name, value, "is not one line of text without # and backslash")
	}
	entries := s.entries()
	if i, ok := lastEntries(entries)[name]; ok {
		e := entries[i]
		s.lines = slices.Replace(slices.Clone(s.lines), e.first, e.end, e.with(s.os, value))
		return nil
	}
	lines := slices.Clone(s.lines)
	if n := len(lines); n > 0 && s.os == NetBSD && continues(strings.TrimSuffix(lines[n-1], "\n")) {
		lines = textfile.Insert(lines, n, "") // or the backslash would join the new line
	}
	s.lines = textfile.Insert(lines, len(lines), name+"="+value)
	return nil
}

// Unset removes all lines that set a variable, and reports whether there were
// any.
func (s *Sysctl) Unset(name string) bool {
	var keep []string
	done := 0
	for _, e := range s.entries() {
		if e.sets && e.name == name {
			keep, done = append(keep, s.lines[done:e.first]...), e.end
		}
	}
	if done == 0 {
		return false
	}
	s.lines = append(keep, s.lines[done:]...)
	return true
}

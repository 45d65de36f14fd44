package bhyve

import "strings"

// A setting is a line that vm-bhyve reads. rawKey, rawValue and rest, joined,
// are the line again.
type setting struct {
	key, value string // what vm-bhyve makes of it

	rawKey   string // with the "=", if there is one
	rawValue string // with its quotes
	rest     string // blanks, comment and line end
}

// readLine reads a line as config::load and config::get do. It is not ok if
// they do not see the line.
func readLine(line string) (s setting, ok bool) {
	if line == "" || line[0] < 'a' || line[0] > 'z' {
		return s, false
	}
	text := strings.TrimSuffix(line, "\n")
	text, _, _ = strings.Cut(text, "#")
	text = strings.TrimRight(text, " ") // sed 's@ *$@@': spaces, and not tabs
	s.rest = line[len(text):]
	key, value, found := strings.Cut(text, "=")
	if !found {
		s.rawKey, s.key = text, unquote(text)
		s.value = s.key // ${line#*=} of a line without "=" is the line
		return s, true
	}
	s.rawKey, s.rawValue = text[:len(key)+1], value
	s.key, s.value = unquote(key), unquote(value)
	return s, true
}

// unquote does what tr -d '"' does.
func unquote(text string) string { return strings.ReplaceAll(text, `"`, "") }

// assigns reports whether the line has a "=".
func (s setting) assigns() bool { return strings.HasSuffix(s.rawKey, "=") }

// with returns the line with another value. Key and value must be fit.
func (s setting) with(value string) string {
	raw := value
	if strings.ContainsAny(s.rawValue, `"'`) || !isShellWord(value) {
		raw = `"` + value + `"`
	}
	rest := s.rest
	switch {
	case rest == "":
		rest = "\n" // a last line that we write is ended, as sysrc needs it
	case rest[0] == '#':
		rest = " " + rest // a shell sees a comment behind a blank only
	}
	return s.key + "=" + raw + rest // a shell would run a key with quotes in it
}

// withKey returns the line with another key and the value it has.
func (s setting) withKey(key string) string {
	raw := s.rawValue
	if !s.assigns() {
		raw = s.rawKey
	}
	return key + "=" + raw + s.rest
}

// isShellWord reports whether a shell, as sysrc(8) lets one read the file,
// assigns the same value that vm-bhyve reads: plain characters, and double
// quotes around others, with nothing to expand.
func isShellWord(raw string) bool {
	quoted := false
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '"':
			quoted = !quoted
		case strings.IndexByte("$`\\", c) >= 0:
			return false
		case quoted, 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("_./:,+@%=-", c) >= 0:
		default:
			return false
		}
	}
	return !quoted
}

// A view is one reading of the whole file: for each key the line that counts.
// What it finds wrong on the way it collects.
type view struct {
	file string
	at   map[string]located
	errs []error
}

// A located is a setting and its line, from 1.
type located struct {
	setting
	line int
}

// col is the column at which the value begins, from 1.
func (l located) col() int { return len(l.rawKey) + 1 }

func (f *File) view() *view {
	v := &view{file: f.text.Name(), at: make(map[string]located, len(f.lines))}
	for i, line := range f.lines {
		s, ok := readLine(line)
		if !ok {
			continue
		}
		if _, again := v.at[s.key]; !again {
			v.at[s.key] = located{s, i + 1}
		}
	}
	return v
}

// get returns the value of a key. vm-bhyve treats an empty one, with which most
// sample files are full, as one that is not there.
func (v *view) get(key string) string { return v.at[key].value }

// valid is get, and notes it if vm-bhyve or bhyve would not take the value.
func (v *view) valid(key string) string {
	l := v.at[key]
	if severity, reason := judge(key, l.value); reason != "" && severity == Error {
		v.errs = append(v.errs, &ParseError{
			File: v.file, Line: l.line, Col: l.col(),
			Err: &ValueError{Field: key, Value: l.value, Reason: reason},
		})
	}
	return l.value
}

// Package tomlfile reads TOML files strictly, and remembers where each key stands.
package tomlfile

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/rehost/rehost/internal/textfile"
)

// A File knows the places of a file's keys.
type File struct {
	name   string
	places map[string]place
}

type place struct {
	line, col int
	number    bool
}

// Decode reads a file into a struct. Keys that the struct does not have are errors, all of
// them at once. Errors are *textfile.ParseError.
func Decode(name string, data []byte, into any) (*File, error) {
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	places, broken := findPlaces(data)
	f := &File{name, places}
	switch {
	case err != nil && !placed(err):
		return nil, f.unplaced(data, into, err)
	case err != nil:
		return nil, decodeErrors(name, err)
	case broken != nil:
		return nil, &textfile.ParseError{File: name, Err: broken}
	}
	return f, nil
}

// placed says whether the decoder tells where an error stands.
func placed(err error) bool {
	_, unknown := errors.AsType[*toml.StrictMissingError](err)
	_, other := errors.AsType[*toml.DecodeError](err)
	return unknown || other
}

// unplaced puts an error into its place: that of a bare number where a text should be,
// which a type's UnmarshalText has refused. It is in the first lines that give it, too.
func (f *File) unplaced(data []byte, into any, err error) error {
	found := &textfile.ParseError{File: f.name, Err: err}
	end, last := 0, 0
	for line := range bytes.Lines(data) {
		end, last = end+len(line), last+1
		if err := toml.Unmarshal(data[:end], reflect.New(reflect.TypeOf(into).Elem()).Interface()); err != nil && !placed(err) {
			break
		}
	}
	for _, at := range f.places {
		if at.line <= last && at.line > found.Line {
			found.Line, found.Col = at.line, at.col
		}
	}
	return found
}

// decodeErrors puts the decoder's errors into the form that all of ours have.
func decodeErrors(name string, err error) error {
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var errs []error
		for _, e := range unknown.Errors {
			line, col := e.Position()
			errs = append(errs, &textfile.ParseError{File: name, Line: line, Col: col,
				Err: fmt.Errorf("unknown key %q", strings.Join(e.Key(), "."))})
		}
		return errors.Join(errs...)
	}
	e, _ := errors.AsType[*toml.DecodeError](err)
	line, col := e.Position()
	text := strings.TrimPrefix(e.Error(), "toml: ")
	if mismatch, ok := strings.CutPrefix(text, "cannot decode TOML "); ok { // into a type of Go's
		kind, _, _ := strings.Cut(mismatch, " into ")
		text = fmt.Sprintf("%s: it cannot be a TOML %s", strings.Join(e.Key(), "."), kind)
	}
	return &textfile.ParseError{File: name, Line: line, Col: col, Err: errors.New(text)}
}

// findPlaces maps every key, such as "guest.home.gateway" or "service.2.port",
// to where it stands: the decoder does not keep it, and an error about two
// values that do not fit has to name one of them.
func findPlaces(data []byte) (map[string]place, error) {
	places := map[string]place{}
	elements := map[string]int{} // of each array of tables, how many there were
	table := ""
	p := &unstable.Parser{}
	p.Reset(data)
	for p.NextExpression() {
		e := p.Expression()
		var keys []string
		var at place
		for it := e.Key(); it.Next(); {
			if at.line == 0 {
				start := p.Shape(it.Node().Raw).Start
				at = place{line: start.Line, col: start.Column}
			}
			keys = append(keys, string(it.Node().Data))
		}
		path := strings.Join(keys, ".")
		switch e.Kind {
		case unstable.Table:
			table = path + "."
			places[path] = at
		case unstable.ArrayTable:
			element := fmt.Sprintf("%s.%d", path, elements[path])
			elements[path]++
			table = element + "."
			places[element] = at
		case unstable.KeyValue:
			at.number = e.Value().Kind == unstable.Integer || e.Value().Kind == unstable.Float
			places[table+path] = at
		}
	}
	return places, p.Error()
}

// Number says whether a bare number stands at a key: the decoder takes one for a type of
// numbers without asking its UnmarshalText.
func (f *File) Number(key string) bool { return f.places[key].number }

// Problem makes a problem of severity Error about a key. Where the key is
// missing, the place is that of the nearest table around it.
func (f *File) Problem(key, format string, args ...any) textfile.Problem {
	p := textfile.Problem{File: f.name, Severity: textfile.Error, Message: key + ": " + fmt.Sprintf(format, args...)}
	for path, more := key, true; more; {
		if at, ok := f.places[path]; ok {
			p.Line, p.Col = at.line, at.col
			break
		}
		i := strings.LastIndexByte(path, '.')
		if more = i > 0; more {
			path = path[:i]
		}
	}
	return p
}

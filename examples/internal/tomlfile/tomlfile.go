// Package tomlfile reads TOML files strictly, and remembers where each key stands.
package tomlfile

import (
	"bytes"
	"errors"
	"fmt"
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

type place struct{ line, col int }

// Decode reads a file into a struct. Keys that the struct does not have are errors, all of
// them at once. Errors are *textfile.ParseError.
func Decode(name string, data []byte, into any) (*File, error) {
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return nil, decodeErrors(name, err)
	}
	places, err := findPlaces(data)
	if err != nil {
		return nil, &textfile.ParseError{File: name, Err: err}
	}
	return &File{name, places}, nil
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
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, col := e.Position()
		return &textfile.ParseError{File: name, Line: line, Col: col, Err: errors.New(strings.TrimPrefix(e.Error(), "toml: "))}
	}
	// A number where a text should be, of which the decoder does not say where it stands.
	return &textfile.ParseError{File: name, Err: err}
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
				at = place{start.Line, start.Column}
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
			places[table+path] = at
		}
	}
	return places, p.Error()
}

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

package move

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/rehost/rehost/internal/textfile"
)

// Load reads a move file. It refuses keys that it does not know and values that
// cannot work, all at once, each with its place.
func Load(name string, data []byte) (*Move, error) {
	m, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	return m, m.validate().Err()
}

// LoadTunnel reads what the router and the guest need to know of each other: a move
// file, or one that has no more than the tables router, guest (of which the name
// will do), tunnel and service. Only these are validated. The public keys may be
// missing until they are made.
func LoadTunnel(name string, data []byte) (*Move, error) {
	m, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	v := &validation{Move: m}
	v.between()
	v.problems.Sort()
	return m, v.problems.Err()
}

func decode(name string, data []byte) (*Move, error) {
	m := &Move{file: name}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, decodeErrors(name, err)
	}
	var err error
	if m.places, err = findPlaces(data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
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
	return fmt.Errorf("%s: %w", name, err)
}

type place struct{ line, col int }

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
func (m *Move) Problem(key, format string, args ...any) textfile.Problem {
	p := textfile.Problem{File: m.file, Severity: textfile.Error, Message: key + ": " + fmt.Sprintf(format, args...)}
	for path, more := key, true; more; {
		if at, ok := m.places[path]; ok {
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

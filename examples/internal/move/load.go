package move

import (
	"github.com/rehost/rehost/examples/internal/tomlfile"
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
	m := &Move{}
	var err error
	m.file, err = tomlfile.Decode(name, data, m)
	return m, err
}

// Problem makes a problem of severity Error about a key. Where the key is
// missing, the place is that of the nearest table around it.
func (m *Move) Problem(key, format string, args ...any) textfile.Problem {
	return m.file.Problem(key, format, args...)
}

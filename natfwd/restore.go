package natfwd

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/rehost/rehost/internal/textfile"
)

// A ruleset is what iptables-save prints and iptables-restore reads: all tables of
// a family. It holds every byte, so that a file can be edited without touching what
// is not ours.
type ruleset struct {
	name   string
	lines  []string // joined they are the text
	tables []table
}

// A table is the part of a ruleset from "*NAME" to "COMMIT".
type table struct {
	name        string
	first, last int // its lines: that of the name and that of COMMIT
	chains      []chainLine
	rules       []rule
}

// A chainLine declares a chain: ":NAME POLICY [packets:bytes]".
type chainLine struct {
	line   int
	name   string
	policy string // "-" for a chain that is not built in
}

// parseRuleset reads a text as iptables-restore(8) does. What it cannot read it
// returns as a [*ParseError].
func parseRuleset(name string, data []byte) (*ruleset, error) {
	r := &ruleset{name: name, lines: textfile.Lines(data)}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		line := bytes.Count(data[:i], []byte("\n"))
		return nil, r.at(line, errors.New("a NUL byte ends the line for iptables-restore"))
	}
	var in *table
	for i, line := range r.lines {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "# Table `nat'"):
			// "is incompatible" or "contains incompatible base-chains, use 'nft' tool":
			// what iptables cannot show may take the same packets.
			return nil, r.at(i, errors.New(strings.TrimPrefix(line, "# ")))
		case line == "" || line[0] == '#':
		case in == nil && line[0] == '*':
			r.tables = append(r.tables, table{name: strings.TrimRight(line[1:], " \t"), first: i})
			in = &r.tables[len(r.tables)-1]
		case in == nil:
			return nil, r.at(i, fmt.Errorf("%q stands in no table", line))
		case strings.TrimRight(line, " \t\r") == "COMMIT":
			in.last = i
			in = nil
		case line[0] == ':':
			fields := strings.Fields(line[1:])
			if len(fields) < 2 {
				return nil, r.at(i, fmt.Errorf("%q declares no chain with its policy", line))
			}
			in.chains = append(in.chains, chainLine{i, fields[0], fields[1]})
		default:
			parsed, err := parseRule(line)
			if err != nil {
				return nil, r.at(i, err)
			}
			parsed.line = i
			in.rules = append(in.rules, parsed)
		}
	}
	if in != nil {
		return nil, r.at(in.first, fmt.Errorf("table %q has no COMMIT", in.name))
	}
	return r, nil
}

func (r *ruleset) at(line int, err error) error {
	return &ParseError{File: r.name, Line: line + 1, Err: err}
}

// nat returns the nat table. Where it is missing, nothing was ever in it.
func (r *ruleset) nat() *table { return r.table("nat") }

func (r *ruleset) table(name string) *table {
	for i := range r.tables {
		if r.tables[i].name == name {
			return &r.tables[i]
		}
	}
	return &table{name: name}
}

// words takes a line apart as iptables-restore does: at blanks, but for what stands
// in double quotes, where a backslash keeps the next character.
func words(line string) ([]string, error) {
	var list []string
	var word strings.Builder
	begun, quoted, escaped := false, false, false
	for i := range len(line) {
		c := line[i]
		switch {
		case escaped:
			word.WriteByte(c)
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted, begun = !quoted, true
		case !quoted && (c == ' ' || c == '\t'):
			if begun {
				list = append(list, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	if begun {
		list = append(list, word.String())
	}
	return list, nil
}

// quote is the other direction.
func quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\"\\'") {
		return word
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(word) {
		if word[i] == '"' || word[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(word[i])
	}
	b.WriteByte('"')
	return b.String()
}

package zone

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// A style is how a line of the file is written: which of its fields are there,
// and at which columns. A new line takes it from the line that it follows.
type style struct {
	fields [5]spot
	blank  string // that a line without an owner begins with
}

// The fields of a record in the order in which they are written.
const (
	ownerField = iota
	ttlField
	classField
	typeField
	dataField
)

// A spot is where a field stands.
type spot struct {
	there  bool
	column int  // from 0
	tab    bool // before it; else only spaces
	text   []byte
}

// styleOf takes the style of the record that c has read.
func styleOf(c *cursor) style {
	s := style{blank: string(c.text[c.entry.start : int(c.entry.start)+c.line.blank])}
	for _, f := range []struct{ field, token int }{
		{ownerField, c.line.owner}, {ttlField, c.line.ttl}, {classField, c.line.class},
		{typeField, c.line.data - 1}, {dataField, c.line.data},
	} {
		if f.token < 0 || f.token >= len(c.line.toks) {
			continue
		}
		t := c.line.toks[f.token]
		before := c.text[c.entry.start:t.start]
		if bytes.ContainsAny(before, "\r\n") {
			break // columns of other lines say nothing
		}
		s.fields[f.field] = spot{
			there: true, column: column(before), text: t.text,
			tab: len(before) > 0 && bytes.IndexByte(before[len(bytes.TrimRight(before, " \t")):], '\t') >= 0,
		}
	}
	return s
}

// column is where text ends that begins a line, with tab stops every 8 columns.
func column[T string | []byte](text T) int {
	n := 0
	for i := range len(text) {
		if text[i] == '\t' {
			n = n/8*8 + 8
		} else {
			n++
		}
	}
	return n
}

// format writes a record's fields, those of them that are not empty.
func (s style) format(fields [5]string) string {
	var b strings.Builder
	b.WriteString(fields[ownerField])
	if fields[ownerField] == "" && s.blank != "" && column(s.blank) >= 1 {
		b.WriteString(s.blank)
	}
	for i := ttlField; i <= dataField; i++ {
		if fields[i] == "" {
			continue
		}
		like := s.fields[i]
		if !like.there {
			// Where the neighbour has no such field, the place of the next one is
			// near enough.
			for k := i + 1; k < dataField && !like.there; k++ {
				like = s.fields[k]
			}
		}
		pad(&b, like)
		b.WriteString(fields[i])
	}
	return b.String()
}

// pad goes to a column, by at least one blank.
func pad(b *strings.Builder, f spot) {
	text := b.String()
	here := column(text)
	if text != "" && byteClass[text[len(text)-1]] == blank && (!f.there || here >= f.column) {
		return
	}
	if f.there && f.tab {
		for b.WriteByte('\t'); column(b.String()) < f.column; {
			b.WriteByte('\t')
		}
		return
	}
	b.WriteString(strings.Repeat(" ", max(1, f.column-here)))
}

// ownerInPlaceOf is the owner that the record which c has read takes from the
// line before, written to stand in place of the blanks that the line begins with.
func ownerInPlaceOf(c *cursor) string {
	blank := string(c.text[c.entry.start : int(c.entry.start)+c.line.blank])
	name := ownerText(c.owner, c.origin)
	if strings.Contains(blank, "\t") {
		var b strings.Builder
		b.WriteString(name)
		pad(&b, spot{there: true, tab: true, column: column(blank)})
		return b.String()
	}
	return name + strings.Repeat(" ", max(1, len(blank)-len(name)))
}

// ownerText spells an owner at an origin: as it is spelled already if that means
// the same, or else as short as can be.
func ownerText(o owner, origin *domain) string {
	if o.origin == origin {
		return string(o.text)
	}
	return relativeName(o.name(), origin.text)
}

// formatTTL writes a TTL with a unit if like has one and the TTL is a multiple of
// some unit, and else in seconds.
func formatTTL(ttl uint32, like []byte) string {
	if ttl > 0 && slices.ContainsFunc(like, func(c byte) bool { return !isDigit(c) }) {
		for _, unit := range []struct {
			seconds uint32
			letter  string
		}{{604800, "w"}, {86400, "d"}, {3600, "h"}, {60, "m"}} {
			if ttl%unit.seconds == 0 {
				letter := unit.letter
				if 'A' <= like[len(like)-1] && like[len(like)-1] <= 'Z' {
					letter = strings.ToUpper(letter)
				}
				return strconv.Itoa(int(ttl/unit.seconds)) + letter
			}
		}
	}
	return strconv.FormatUint(uint64(ttl), 10)
}

package zone

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// setWhatIsThere makes edits that name what the zone holds already. They may be
// refused, where $GENERATE made a record, and must not change a byte.
func setWhatIsThere(f *File, dir string, z *randomZone) error {
	old := filesOf(f, dir)
	unchanged := func(what string, args ...any) error {
		for path, text := range filesOf(f, dir) {
			if text != old[path] {
				gone, come := diffLines(strings.SplitAfter(old[path], "\n"), strings.SplitAfter(text, "\n"))
				return failure("setting what is there changes bytes", "%s\n%s: gone %v, come %v", fmt.Sprintf(what, args...), path, gone, come)
			}
		}
		return nil
	}
	var all []Record
	for r := range f.All() {
		all = append(all, r)
	}
	done := map[rrsetName]bool{}
	for _, r := range all {
		set := rrsetName{strings.ToLower(r.Owner), r.Type}
		if done[set] || !dns.IsSubDomain(z.Origin, set.Owner) { // named ignores it
			continue
		}
		done[set] = true
		there := f.Lookup(r.Owner, r.Type)
		if len(there) == 0 {
			return failure("Lookup does not find what All has", "%v", r)
		}
		err := f.Replace(r.Owner, r.Type, there...)
		if err != nil && !isGenerated(r.Owner) {
			return failure("Replace by what Lookup gave is refused", "%v: %v", set, err)
		}
		if err := unchanged("Replace %v", set); err != nil {
			return err
		}
		for _, r := range there {
			if err := f.Add(r); err != nil && !isGenerated(r.Owner) {
				return failure("Add of what is there is refused", "%v: %v", r, err)
			}
		}
		if err := unchanged("Add %v", set); err != nil {
			return err
		}
	}
	if ttl, ok := f.TTL(); ok {
		if err := f.SetTTL(ttl); err != nil {
			return failure("SetTTL of what TTL gave is refused", "%v", err)
		}
	}
	if _, err := f.LowerTTLs(f.MaxTTL()); err != nil {
		return failure("LowerTTLs to what is the highest is refused", "%v", err)
	}
	return nil
}

// A fileLine is a line of a file, from 0.
type fileLine struct {
	path string
	line int
}

// recordLines are the lines that the edit may rewrite or remove: those of the
// RRset that it names.
func recordLines(f *File, dir string, e editCall, before canonSet) map[fileLine]bool {
	files := filesOf(f, dir)
	named := map[fileLine]bool{}
	for r := range f.All() {
		c := canonOf(r)
		if c.set() != e.set && !(e.op == "Bump" && c.Type == "SOA") {
			continue
		}
		path := r.File
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsAbs(path) {
			path = rel
		}
		path = filepath.Clean(path)
		lines := strings.SplitAfter(files[path], "\n")
		for n := range extent(strings.Join(lines[r.Line-1:], "")) {
			named[fileLine{path, r.Line - 1 + n}] = true
		}
	}
	return named
}

// extent is the number of lines that the record at the start of a text takes. It
// may stand after the end of another, which ends in a carriage return.
func extent(text string) int {
	depth, lines, quoted, comment := 0, 1, false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\n' && !quoted && depth <= 0:
			return lines
		case c == '\n':
			lines++
			comment = false
		case comment:
		case c == '\\':
			if i++; i < len(text) && text[i] == '\n' {
				lines++
			}
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			comment = true
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '\r':
			depth = max(depth, 0)
		}
	}
	return lines
}

var ttlWord = regexp.MustCompile(`(?i)^([0-9]+[wdhms]?)+$`)

// checkLines compares the texts: of the lines that went, each belonged to the
// RRset named, or came again with the words that it had, and an owner or a TTL
// that it now must spell out. Its TTL may have become another: of several that
// an RRset states, the one that counts depends on what stands between.
func checkLines(old, files map[string]string, e editCall, named map[fileLine]bool) error {
	for path, text := range files {
		lines := strings.SplitAfter(old[path], "\n")
		gone, come := diffLines(lines, strings.SplitAfter(text, "\n"))
		may := map[string]int{} // how many lines that read so may go: equal lines cannot be told apart
		for at := range named {
			if at.path == path {
				may[lines[at.line]]++
			}
		}
		for _, g := range gone {
			if may[g.text]--; may[g.text] >= 0 || slices.ContainsFunc(come, func(c numberedLine) bool { return keepsWords(g.text, c.text) }) {
				continue
			}
			return failure("a line that the edit does not name is changed", "%s:%d %q\ncame: %v", path, g.number+1, g.text, come)
		}
		if limit := len(gone) + 12 + 3*len(e.records); len(come) > limit {
			return failure("too many new lines", "%s: %v", path, come)
		}
	}
	return nil
}

// keepsWords says whether all words of old are in new, in their order; one TTL
// may stand for another.
func keepsWords(old, new string) bool {
	if strings.TrimSpace(old) == strings.TrimSpace(new) { // a final newline
		return true
	}
	rest := zoneWords.FindAllString(new, -1)
	for _, word := range zoneWords.FindAllString(old, -1) {
		at := slices.IndexFunc(rest, func(w string) bool {
			return w == word || ttlWord.MatchString(w) && ttlWord.MatchString(word)
		})
		if at < 0 {
			return false
		}
		rest = rest[at+1:]
	}
	return true
}

var zoneWords = regexp.MustCompile(`[^\s();"]+|[();"]`)

func (n numberedLine) String() string { return fmt.Sprintf("%d %q", n.number+1, n.text) }

type numberedLine struct {
	number int
	text   string
}

// diffLines returns what is only in a and only in b, by their longest common
// subsequence.
func diffLines(a, b []string) (gone, come []numberedLine) {
	lo := 0
	for lo < len(a) && lo < len(b) && a[lo] == b[lo] {
		lo++
	}
	hiA, hiB := len(a), len(b)
	for hiA > lo && hiB > lo && a[hiA-1] == b[hiB-1] {
		hiA, hiB = hiA-1, hiB-1
	}
	length := make([][]int, hiA-lo+1)
	for i := range length {
		length[i] = make([]int, hiB-lo+1)
	}
	for i := hiA - 1; i >= lo; i-- {
		for j := hiB - 1; j >= lo; j-- {
			if a[i] == b[j] {
				length[i-lo][j-lo] = length[i-lo+1][j-lo+1] + 1
			} else {
				length[i-lo][j-lo] = max(length[i-lo+1][j-lo], length[i-lo][j-lo+1])
			}
		}
	}
	for i, j := lo, lo; i < hiA || j < hiB; {
		switch {
		case i < hiA && j < hiB && a[i] == b[j]:
			i, j = i+1, j+1
		case j >= hiB || i < hiA && length[i-lo+1][j-lo] >= length[i-lo][j-lo+1]:
			gone = append(gone, numberedLine{i, a[i]})
			i++
		default:
			come = append(come, numberedLine{j, b[j]})
			j++
		}
	}
	return gone, come
}

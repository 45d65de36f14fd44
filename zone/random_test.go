package zone

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// A randomZone is a zone in all the syntax that named takes, and mostly one that
// it loads: with a SOA, name servers that have addresses, and CNAMEs alone.
type randomZone struct {
	Origin string            // with its final dot
	Files  map[string]string // by path; the main one is mainFile

	Shared      map[string]bool // owners in a file that is included twice: one line stands for two records
	DefaultTTLs []uint32        // every $TTL in it
	Inherits    bool            // it does not begin with one
}

// newRandomZone makes the zone that belongs to a seed, the same each time.
func newRandomZone(seed uint64) *randomZone {
	r := rand.New(rand.NewPCG(seed, 0))
	z := &randomZone{
		Origin: pick(r, "example.net.", "example.net.", "sub.example.org.", "2.0.192.in-addr.arpa."),
		Files:  map[string]string{},
		Shared: map[string]bool{},
	}
	w := &zoneWriter{Rand: r, zone: z, origin: z.Origin, out: &strings.Builder{}}
	w.eols = pick(r, []string{"\n"}, []string{"\n"}, []string{"\r\n"}, []string{"\n", "\r\n"}, []string{"\n", "\r\n", "\r"})
	w.blanks = pick(r, []string{" "}, []string{"\t"}, []string{" ", "\t", "\t\t", "    ", " \t "})
	if z.Inherits = w.IntN(3) == 0; !z.Inherits {
		w.defaultTTL()
	}
	w.noise()
	w.soa()
	w.records(content(r, z.Origin), 0)
	if w.IntN(10) == 0 {
		w.sharedFile()
	}
	z.Files[mainFile] = w.text()
	return z
}

func (z *randomZone) String() string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(z.Files)) {
		fmt.Fprintf(&b, "-- %s (origin %s) --\n%s\n%q\n", path, z.Origin, z.Files[path], z.Files[path])
	}
	return b.String()
}

// A zoneWriter writes records and directives in a spelling of its own choice. It
// keeps the state that a reader has, so as to know what may be left out.
type zoneWriter struct {
	*rand.Rand
	zone         *randomZone
	out          *strings.Builder // of the file it is in
	origin       string
	owner        string // the last one, "" if there was none
	hasTTL       bool   // a record may do without
	files        int
	eols, blanks []string
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (w *zoneWriter) chance(percent int) bool { return w.IntN(100) < percent }

// text ends the file, now and then without a newline.
func (w *zoneWriter) text() string {
	text := w.out.String()
	if w.chance(20) {
		text = strings.TrimRight(text, "\r\n")
	}
	return text
}

// oddComments are what editors trip over. A lone carriage return does not end one.
var oddComments = []string{
	";", "; serial", "; 2024010101 was the old serial", ";(", "; ) unbalanced (", "; say \"", "; \" twice \" quoted",
	";;; $TTL 5", "; ns1 A 192.0.2.1", "; \xff\xfe not UTF-8", "; \\", ";\ttab", "; ü", "; a\rb",
}

// end ends a line, outside of parentheses, and may put a comment before.
func (w *zoneWriter) end() {
	if w.chance(15) {
		w.out.WriteString(pick(w.Rand, "", " ", "\t") + pick(w.Rand, oddComments...))
		w.newline()
		return
	}
	w.out.WriteString(pick(w.Rand, "", "", "", " ") + pick(w.Rand, w.eols...))
}

// newline ends a line that may end in a comment.
func (w *zoneWriter) newline() {
	eol := pick(w.Rand, w.eols...)
	if eol == "\r" {
		eol = "\r\n"
	}
	w.out.WriteString(eol)
}

// noise is lines that mean nothing.
func (w *zoneWriter) noise() {
	for w.chance(15) {
		w.out.WriteString(pick(w.Rand, "", "", " ", "\t", "()", "( )", " ()"))
		w.end()
	}
}

// line writes tokens with blanks, parentheses, line ends and comments between.
// A first token of "" is the blank that stands for the previous owner.
func (w *zoneWriter) line(tokens ...string) {
	wild, depth := w.chance(25), 0
	if wild && tokens[0] != "" && w.chance(10) {
		w.out.WriteString("(")
		depth++
	}
	w.out.WriteString(tokens[0])
	for i, token := range tokens[1:] {
		blank := pick(w.Rand, w.blanks...)
		if i > 0 && (strings.HasPrefix(token, `"`) || strings.HasPrefix(tokens[i], `"`)) && w.chance(50) {
			blank = ""
		}
		if wild && w.chance(30) {
			blank = pick(w.Rand, "(", " (", "( ", " ( ")
			if tokens[0] == "" && i == 0 {
				blank = pick(w.Rand, " (", "\t( ") // still a blank first
			}
			depth++
		}
		for depth > 0 && w.chance(30) {
			w.out.WriteString(blank)
			w.end()
			blank = pick(w.Rand, w.blanks...)
		}
		if depth > 0 && w.chance(15) {
			blank += pick(w.Rand, ")", ") ")
			depth--
		}
		w.out.WriteString(blank + token)
	}
	for ; depth > 0; depth-- {
		for w.chance(20) {
			w.end()
		}
		w.out.WriteString(pick(w.Rand, "", " ") + ")")
	}
	w.end()
}

// name spells an absolute name: relative if that is possible, in other letters,
// with escapes.
func (w *zoneWriter) name(name string) string {
	switch rest, below := strings.CutSuffix(name, "."+w.origin); {
	case w.chance(20):
	case name == w.origin:
		return "@"
	case w.origin == ".":
		name = strings.TrimSuffix(name, ".")
	case below:
		name = rest
	}
	if strings.ContainsAny(name, `\"`) {
		return name
	}
	switch w.IntN(20) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		i := w.IntN(len(name))
		if name[i] != '.' {
			return fmt.Sprintf(`%s\%03d%s`, name[:i], name[i], name[i+1:])
		}
	}
	return name
}

// ttlSpellings are spellings of TTLs; several mean the same.
var ttlSpellings = map[string]uint32{
	"0": 0, "60": 60, "300": 300, "5m": 300, "0300": 300, "3600": 3600, "1h": 3600, "1H": 3600, "30m30M": 3600,
	"86400": 86400, "1d": 86400, "1w2D": 777600, "0007": 7, "604800": 604800, "1h1m1s": 3661,
}

func (w *zoneWriter) ttl() string { return randomKey(w.Rand, ttlSpellings) }

func (w *zoneWriter) defaultTTL() {
	ttl := w.ttl()
	w.line(pick(w.Rand, "$TTL", "$TTL", "$ttl"), ttl)
	w.zone.DefaultTTLs = append(w.zone.DefaultTTLs, ttlSpellings[ttl])
	w.hasTTL = true
}

// changeOrigin goes somewhere, spelled absolutely or relatively, and back.
func (w *zoneWriter) changeOrigin() {
	origin := pick(w.Rand, w.zone.Origin, w.zone.Origin, "deep."+w.zone.Origin, "mx."+w.zone.Origin, "example.com.", ".")
	spelled := origin
	if origin != "." {
		spelled = w.name(origin)
	}
	w.line(pick(w.Rand, "$ORIGIN", "$Origin"), spelled)
	w.origin = origin
}

var generateRanges = []string{"1-3", "0-4/2", "7-7", "9-10"}

// generate writes a $GENERATE line; all that it makes lies below "gen".
func (w *zoneWriter) generate() {
	below := pick(w.Rand, "gen", "GEN") + "." + w.zone.Origin
	left := pick(w.Rand, "g$", "g${0,3,d}", "${1}", "${10,2,x}", "h${0,3,n}", "${0,3,N}", `\$$`, "a$b${-1}c")
	right := pick(w.Rand, "A 192.0.2.$", "a 192.0.2.${10}", "AAAA 2001:db8::${0,0,x}", "PTR h$.gen", "TXT x${0,4,X}", `TXT "a $ b"`, "MX \"1 ns1\"")
	tokens := []string{"$GENERATE", pick(w.Rand, generateRanges...), left + "." + below}
	if !w.hasTTL || w.chance(40) {
		tokens = append(tokens, w.ttl())
		w.hasTTL = true
	}
	if w.chance(30) {
		tokens = append(tokens, "IN")
		if len(tokens) == 5 && w.chance(50) {
			tokens[3], tokens[4] = tokens[4], tokens[3]
		}
	}
	typ, data, _ := strings.Cut(right, " ")
	w.out.WriteString(strings.Join(append(tokens, typ, data), pick(w.Rand, w.blanks...)))
	w.end()
}

// isGenerated says whether a $GENERATE line may have made an owner.
func isGenerated(owner string) bool { return strings.Contains(strings.ToLower(owner), ".gen.") }

// include moves records to a file of their own.
func (w *zoneWriter) include(list []unspelled, depth int) {
	w.files++
	path := pick(w.Rand, fmt.Sprintf("inc%d", w.files), fmt.Sprintf("sub/inc%d.zone", w.files), fmt.Sprintf("sub/deeper/%d", w.files))
	spelled := path
	if w.chance(20) {
		spelled = `"` + path + `"`
	}
	parent, origin := *w, w.origin
	if w.chance(50) {
		origin = pick(w.Rand, w.zone.Origin, "deep."+w.zone.Origin, "mx."+w.zone.Origin)
		w.line("$INCLUDE", spelled, w.name(origin))
	} else {
		w.line(pick(w.Rand, "$INCLUDE", "$include"), spelled)
	}
	w.out, w.origin = &strings.Builder{}, origin
	w.records(list, depth+1)
	w.zone.Files[path] = w.text()
	// The TTL leaks out of the file; origin and owner do not.
	w.out, w.origin, w.owner = parent.out, parent.origin, parent.owner
}

// sharedFile includes a file twice, under two origins.
func (w *zoneWriter) sharedFile() {
	w.zone.Files["shared"] = "twin 300 A 192.0.2.77\n TXT \"of two\" ; comment\n"
	for _, at := range []string{"one.", "two."} {
		w.out.WriteString("$INCLUDE shared " + at + w.zone.Origin + "\n")
		w.zone.Shared["twin."+at+w.zone.Origin] = true
	}
}

// soa writes the SOA in one of many shapes. The zone name is the owner.
func (w *zoneWriter) soa() {
	serial := pick(w.Rand, "1", "007", "2024010101", "2024010199", "4294967295", "4294967294", "0", "2147483648")
	times := []string{pick(w.Rand, "3h", "10800"), pick(w.Rand, "1H", "900"), pick(w.Rand, "1w", "604800"), pick(w.Rand, "300", "5m", "1d")}
	names := []string{w.name("ns1." + w.zone.Origin), w.name("host.master." + w.zone.Origin)}
	start := []string{w.name(w.zone.Origin)}
	if w.chance(50) {
		start = append(start, "IN")
	}
	if w.chance(30) {
		start = append(start, w.ttl())
	}
	w.hasTTL, w.owner = true, w.zone.Origin
	typ := pick(w.Rand, "SOA", "SOA", "SOA", "soa", "TYPE6")
	switch w.IntN(5) {
	case 0: // as people write it
		w.out.WriteString(strings.Join(start, "\t") + " " + typ + " " + strings.Join(names, " ") + " (" + pick(w.Rand, "", " ; serial below"))
		w.newline()
		for i, number := range append([]string{serial}, times...) {
			if i == 4 {
				break
			}
			w.out.WriteString("\t\t" + number + pick(w.Rand, "", " ; serial", "\t; 2024010101 ("))
			w.newline()
		}
		w.out.WriteString("\t\t" + times[3] + pick(w.Rand, ");", ")", " );(", "\n)"))
		w.newline()
	case 1:
		n := 7 * w.IntN(2) // the numbers may come in one word or in five
		generic := fmt.Sprintf("%08x%08x%08x%08x%08x", 2024010101, 10800, 3600, 604800, 300)
		words := []string{typ, `\#`, "22", "0000" + generic[:8+n], generic[8+n : 24], generic[24:]}
		w.line(append(start, words...)...)
	default:
		w.line(slices.Concat(start, []string{typ}, names, []string{serial}, times)...)
	}
}

// record writes one record, without what the reader would know anyhow.
func (w *zoneWriter) record(it unspelled) {
	tokens := []string{""}
	if w.owner != it.owner || !w.chance(70) {
		tokens[0] = w.name(it.owner)
		if w.chance(2) && !strings.Contains(tokens[0], `"`) && tokens[0] != "@" {
			tokens[0] = `"` + tokens[0] + `"`
		}
	}
	w.owner = it.owner
	var ttlAndClass []string
	if !w.hasTTL || w.chance(25) {
		ttlAndClass = append(ttlAndClass, w.ttl())
		w.hasTTL = true
	}
	if w.chance(40) {
		ttlAndClass = append(ttlAndClass, pick(w.Rand, "IN", "IN", "IN", "in", "CLASS1"))
	}
	w.Shuffle(len(ttlAndClass), func(i, j int) { ttlAndClass[i], ttlAndClass[j] = ttlAndClass[j], ttlAndClass[i] })
	tokens = append(tokens, ttlAndClass...)
	tokens = append(tokens, pick(w.Rand, it.typ, it.typ, it.typ, strings.ToLower(it.typ)))
	for _, word := range it.data {
		if name, ok := strings.CutPrefix(word, "{"); ok {
			word = w.name(name)
		}
		tokens = append(tokens, word)
	}
	w.line(tokens...)
}

// records writes records with directives and noise between them.
func (w *zoneWriter) records(list []unspelled, depth int) {
	for len(list) > 0 {
		w.noise()
		switch w.IntN(24) {
		case 0:
			w.defaultTTL()
		case 1, 2:
			w.changeOrigin()
		case 3:
			w.generate()
		case 4, 5:
			if depth < 3 {
				n := 1 + w.IntN(len(list))
				w.include(list[:n], depth)
				list = list[n:]
				continue
			}
		}
		w.record(list[0])
		list = list[1:]
	}
}

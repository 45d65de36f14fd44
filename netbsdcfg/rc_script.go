package netbsdcfg

import (
	"errors"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A script is what a shell would make of an rc.conf, as far as that can be told
// without running it. It is a view: the text is in RC.
type script struct {
	err      *ParseError // the text is no shell script, and nothing else is filled
	assigns  []assignment
	vars     map[string]int // the index in assigns that counts, or unknown
	others   []other
	comments []int // offset of each # that begins a line outside all compound commands
	end      int   // where the reading ends: an exit or return, or the end of the text
}

const notPlain = "not a plain assignment: kept as it is, not evaluated"

// unknown stands for a variable that something other than a plain assignment
// may have set last.
const unknown = -1

// An assignment is a plain one, such as a=1 or export a="b c". All numbers are
// offsets.
type assignment struct {
	key, value string
	start, end int    // key and value
	valueAt    int    // the value alone, as written
	words      [2]int // end of the word before and start of the one after in the same statement; -1 if none
	from, to   int    // the statement
}

// An other is a statement, or an assignment in one, that is not plain.
type other struct {
	at      int
	text    string
	names   []string // what it may set, as far as it says so
	locks   []string // what it may make readonly
	any     bool     // it may set anything
	exits   bool     // it may end the reading
	returns bool     // so it may, where it is in no function
	message string
	error   bool
}

// configures reports whether a statement may set anything, which reading the
// defaults is not taken for: every rc.conf begins with that.
func (o other) configures() bool {
	return o.any && !strings.Contains(o.text, "/etc/defaults/rc.conf")
}

// specials are the built-in commands after which an assignment in front of the
// command stays, POSIX 2.14.
var specials = strings.Fields(": . break continue eval exec exit export readonly return set shift times trap unset")

// readScript parses a text that holds no NUL.
func readScript(text string) *script {
	// Most lines of an rc.conf are assignments: growing step by step would cost
	// more than the reading.
	lines := strings.Count(text, "\n") + 1
	s := &script{vars: make(map[string]int, lines), assigns: make([]assignment, 0, lines), end: len(text)}
	parser := syntax.NewParser(syntax.Variant(syntax.LangPOSIX), syntax.KeepComments(true))
	file, err := parser.Parse(strings.NewReader(mask(text)), "")
	if err != nil {
		s.err = shellError(err)
		return s
	}
	r := scriptReader{script: s, text: text, funcs: map[string]bool{}, locked: map[string]bool{}}
	for _, stmt := range file.Stmts {
		r.ownComments(stmt.Comments)
		if s.end < len(text) {
			r.dead(stmt)
			continue
		}
		r.statement(stmt)
	}
	r.ownComments(file.Last)
	if s.err != nil {
		return &script{err: s.err}
	}
	return s
}

// mask puts a stand-in for what the parser takes for something else than the
// shell does; offsets stay. It drops a carriage return, refuses what is not
// UTF-8, and joins lines at a backslash that ends a comment. (Where the # was in
// quotes after all, the lines are in the same quotes, joined or not.)
func mask(text string) string {
	var masked []byte // a copy, once there is something to mask
	hide := func(i int) {
		if masked == nil {
			masked = []byte(text)
		}
		masked[i] = standIn
	}
	comment, backslashes := false, 0
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '#' && (i == 0 || strings.IndexByte(" \t\n;&|()`", text[i-1]) >= 0):
			comment = true
		case c == '\n':
			if comment && backslashes%2 == 1 {
				hide(i - 1)
			}
			comment = false
		case c == '\r' || c >= 0x80:
			hide(i)
		}
		if c == '\\' {
			backslashes++
		} else {
			backslashes = 0
		}
	}
	if masked == nil {
		return text
	}
	return string(masked)
}

const standIn = 0x01 // an ordinary character of a word

func shellError(err error) *ParseError {
	out := &ParseError{Err: err}
	if e, ok := errors.AsType[syntax.ParseError](err); ok {
		out.Line, out.Col, out.Err = int(e.Pos.Line()), int(e.Pos.Col()), errors.New(e.Text)
	}
	if e, ok := errors.AsType[syntax.LangError](err); ok {
		out.Line, out.Col, out.Err = int(e.Pos.Line()), int(e.Pos.Col()), errors.New("not in the language of sh: "+e.Feature)
	}
	return out
}

// A scriptReader fills a script, statement by statement.
type scriptReader struct {
	*script
	text   string
	funcs  map[string]bool // functions defined so far
	bodies []string        // what the bodies of functions may set
	wild   bool            // a function may set anything
	locked map[string]bool // made readonly: the shell gives up at an assignment
	exits  bool            // a function may end the reading
	lost   bool            // the shell may have given up, or stopped reading
	fresh  []string        // set since a statement that may set anything
}

func (r *scriptReader) ownComments(comments []syntax.Comment) {
	for _, c := range comments {
		at := int(c.Hash.Offset())
		if strings.Trim(r.text[lineStart(r.text, at):at], " \t") == "" {
			r.comments = append(r.comments, at)
		}
	}
}

func (r *scriptReader) statement(stmt *syntax.Stmt) {
	call, _ := stmt.Cmd.(*syntax.CallExpr)
	if call == nil || stmt.Negated || stmt.Background || len(stmt.Redirs) > 0 {
		r.opaque(stmt, notPlain)
		return
	}
	if len(call.Args) == 0 {
		r.clause(stmt, call)
		return
	}
	switch name := call.Args[0].Lit(); {
	case name == "export" && len(call.Assigns) == 0 && r.export(stmt, call):
	case len(call.Assigns) == 0 && ends(call):
		r.end = int(stmt.Pos().Offset())
		r.others = append(r.others, other{at: r.end, text: r.slice(stmt), message: "the reading of the file ends here: remove this if more is to come"})
	case r.funcs[name]:
		r.opaque(stmt, "a command: kept as it is, not executed")
	case strings.Contains(name, "=") || len(call.Args) > 1 && strings.HasPrefix(call.Args[1].Lit(), "="):
		r.others = append(r.others, other{at: int(stmt.Pos().Offset()), text: r.slice(stmt), error: true,
			message: "no assignment, for the shell runs a command of this name: write name=value, without blanks around the = and with a name of letters, digits and _"})
	case len(call.Assigns) > 0 && name != "" && !slices.Contains(specials, name):
		r.others = append(r.others, other{at: int(stmt.Pos().Offset()), text: r.slice(stmt),
			message: "assigned for this one command only, and lost behind it: put a value with blanks in quotes"})
	default:
		r.opaque(stmt, "a command: kept as it is, not executed")
	}
}

// ends reports whether a command is the last one of a script.
func ends(call *syntax.CallExpr) bool {
	switch call.Args[0].Lit() {
	case "exit", "return":
		return true
	case "exec":
		return len(call.Args) > 1
	}
	return false
}

// clause reads a statement that consists of assignments alone.
func (r *scriptReader) clause(stmt *syntax.Stmt, call *syntax.CallExpr) {
	for i, a := range call.Assigns {
		got := assignment{
			key: a.Name.Value, words: [2]int{-1, -1},
			start: int(a.Pos().Offset()), end: int(a.End().Offset()), valueAt: int(a.Name.End().Offset()) + 1,
		}
		if i > 0 {
			got.words[0] = int(call.Assigns[i-1].End().Offset())
		}
		if i+1 < len(call.Assigns) {
			got.words[1] = int(call.Assigns[i+1].Pos().Offset())
		}
		if got.valueAt > got.end || r.text[got.valueAt-1] != '=' {
			// The name goes on after a backslash and a newline.
			r.add(other{at: got.start, text: r.text[got.start:got.end], names: []string{got.key}, message: notPlain})
			continue
		}
		r.assign(stmt, got, a)
	}
}

// export reads an export statement. It reports false, and has done nothing, if
// a word in it is neither a name nor an assignment.
func (r *scriptReader) export(stmt *syntax.Stmt, call *syntax.CallExpr) bool {
	var found []assignment
	var words []*syntax.Word
	for i, w := range call.Args[1:] {
		start, end := int(w.Pos().Offset()), int(w.End().Offset())
		key, raw, ok := strings.Cut(r.text[start:end], "=")
		if !validKey(key) {
			return false
		}
		if !ok {
			continue
		}
		// Unlike a plain assignment, a word of export may meet file names.
		if strings.ContainsAny(raw, "*?[") {
			return false
		}
		got := assignment{key: key, start: start, end: end, valueAt: start + len(key) + 1, words: [2]int{-1, -1}}
		if len(call.Args) > 2 {
			got.words[0] = int(call.Args[i].End().Offset())
			if i+2 < len(call.Args) {
				got.words[1] = int(call.Args[i+2].Pos().Offset())
			}
		}
		found, words = append(found, got), append(words, w)
	}
	for i, a := range found {
		r.assign(stmt, a, words[i])
	}
	return len(found) > 0
}

// assign records an assignment, as an other if its value is not plain.
func (r *scriptReader) assign(stmt *syntax.Stmt, a assignment, node syntax.Node) {
	if r.locked[a.key] {
		r.lost = true
		r.others = append(r.others, other{at: a.start, text: r.text[a.start:a.end], error: true,
			message: "the variable is readonly, and the shell stops here: remove one of the two"})
	}
	value, plain := unquote(r.text[a.valueAt:a.end])
	if !plain {
		o := r.touched(node)
		o.at, o.text, o.names = a.start, r.text[a.start:a.end], append(o.names, a.key)
		o.message = notPlain
		r.add(o)
		return
	}
	a.value, a.from, a.to = value, int(stmt.Pos().Offset()), r.stmtEnd(stmt)
	r.assigns = append(r.assigns, a)
	r.vars[a.key] = len(r.assigns) - 1
	if r.lost {
		r.vars[a.key] = unknown
	}
	r.fresh = append(r.fresh, a.key)
}

// opaque records a statement that is not evaluated, and forgets what it may
// change.
func (r *scriptReader) opaque(stmt *syntax.Stmt, message string) {
	o := r.touched(stmt)
	o.at, o.text, o.message = int(stmt.Pos().Offset()), r.slice(stmt), message
	r.add(o)
}

func (r *scriptReader) add(o other) {
	slices.Sort(o.names)
	o.names = slices.Compact(o.names)
	r.others = append(r.others, o)
	for _, key := range o.names {
		r.vars[key] = unknown
		r.lost = r.lost || r.locked[key]
	}
	for _, key := range o.locks {
		r.locked[key] = true
	}
	r.lost = r.lost || o.exits || o.returns
	if o.any {
		for _, key := range r.fresh {
			r.vars[key] = unknown
		}
		r.fresh = nil
	}
}

// dead records a statement behind the end of the reading.
func (r *scriptReader) dead(stmt *syntax.Stmt) {
	r.others = append(r.others, other{at: int(stmt.Pos().Offset()), text: r.slice(stmt), error: true,
		message: "never read, for the file ends at the exit or return above: move it up, or remove that"})
}

func (r *scriptReader) slice(stmt *syntax.Stmt) string {
	return r.text[stmt.Pos().Offset():r.stmtEnd(stmt)]
}

func (r *scriptReader) stmtEnd(stmt *syntax.Stmt) int {
	return min(int(stmt.End().Offset()), len(r.text))
}

// lineStart returns the offset at which the line of offset at begins.
func lineStart(text string, at int) int { return strings.LastIndexByte(text[:at], '\n') + 1 }

// lineEnd returns the offset of the newline that ends the line of offset at, or
// of the end of the text.
func lineEnd(text string, at int) int {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(text)
}

// unquote returns the value that a shell assigns for a word, and false if it
// would have to expand something.
func unquote(word string) (value string, plain bool) {
	if !strings.ContainsAny(word, "\\'\"$`~") {
		return word, true
	}
	var b strings.Builder
	b.Grow(len(word))
	quote := byte(0)
	for i := 0; i < len(word); i++ {
		c := word[i]
		switch {
		case quote == '\'' && c != '\'':
			b.WriteByte(c)
		case c == '$' || c == '`':
			return "", false
		case c == '~' && quote == 0 && (i == 0 || word[i-1] == ':'):
			return "", false
		case c == '\\' && i+1 < len(word):
			i++
			if quote == '"' && !strings.ContainsRune("$`\"\\\n", rune(word[i])) {
				b.WriteByte('\\')
			}
			if word[i] != '\n' {
				b.WriteByte(word[i])
			}
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

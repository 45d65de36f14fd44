package netbsdcfg

import (
	"errors"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A reading is what sh makes of one line of the file.
type reading struct {
	argvs [][]string   // the commands that are known, in order
	shell string       // text after them that only execution could tell
	input appetite     // what it takes of the lines that follow
	err   error        // sh refuses the text and runs none of it
	tree  *syntax.File // of the text that sh reads last, nil if err is not nil
}

// A shell reads lines as the shell of rc.d/network does. It runs nothing: it
// knows words, quoting and one variable, and says so where that is not enough.
type shell struct {
	iface  string
	parser *syntax.Parser
}

func newShell(iface string) *shell {
	return &shell{iface, syntax.NewParser(syntax.Variant(syntax.LangPOSIX))}
}

// line reads one line of the file, joined and trimmed.
func (sh *shell) line(text string) reading {
	switch {
	case skipped(text):
		return reading{}
	case text == "dhcp":
		return reading{argvs: [][]string{{"dhcpcd", "-n", sh.iface}}}
	case text[0] == '!':
		return sh.command(text[1:])
	default:
		// "eval set -- $args" with globbing off: $args is split at blanks,
		// also at those inside quotes, and eval joins the pieces again.
		return sh.arguments(strings.Join(strings.FieldsFunc(text, isBlank), " "))
	}
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// command reads the text after an exclamation mark: it is evaluated as it is.
func (sh *shell) command(text string) reading {
	if argv, ok := sh.split(text); ok && !strings.Contains(argv[0], "=") &&
		!slices.Contains(notPrograms, argv[0]) && !slices.Contains(reserved, argv[0]) {
		return reading{argvs: [][]string{argv}, input: reads(argv, true)}
	}
	s := sh.parse(text)
	if s.tree == nil {
		return s
	}
	for _, stmt := range s.tree.Stmts {
		argv, ok := sh.plain(stmt, true)
		if !ok {
			// It may change what the rest of the line means.
			s.shell = plainText(encode(text)[stmt.Pos().Offset():])
			break
		}
		s.argvs = append(s.argvs, argv)
	}
	return s
}

// arguments reads a line for ifconfig. What follows a semicolon is executed
// first, since ifconfig runs when the whole text has been evaluated.
func (sh *shell) arguments(text string) reading {
	if words, ok := sh.split(text); ok {
		return reading{argvs: [][]string{append([]string{"ifconfig", sh.iface}, words...)}}
	}
	const set = "set -- "
	s := sh.parse(set + text)
	if s.tree == nil {
		if s.shell != "" {
			s.shell = sh.evaluated(text)
		}
		return s
	}
	last := []string{"ifconfig", sh.iface}
	for i, stmt := range s.tree.Stmts {
		argv, ok := sh.plain(stmt, false)
		switch {
		case i == 0 && argv == nil && isCall(stmt) && len(s.tree.Stmts) == 1 && !strings.ContainsAny(text, "*?["):
			s.shell = "ifconfig " + sh.iface + " " + text
			return s
		case i == 0 && argv != nil:
			last = append(last, argv[2:]...)
		case !ok:
			s.argvs, s.shell = nil, sh.evaluated(text)
			return s
		default:
			s.argvs = append(s.argvs, argv)
		}
	}
	s.argvs = append(s.argvs, last)
	return s
}

// split does for most lines what the parser would do at many times the
// cost: their words are plain characters, or exactly $int.
func (sh *shell) split(text string) ([]string, bool) {
	words := strings.FieldsFunc(text, isBlank)
	for i, word := range words {
		if word == "$int" {
			words[i] = sh.iface
		} else if strings.ContainsFunc(word, isSpecial) {
			return nil, false
		}
	}
	return words, len(words) > 0
}

// comment returns where a comment begins in the text of an entry, or -1. A
// comment is the end of the text, which is one line for the shell.
func (sh *shell) comment(text string) int {
	if strings.HasPrefix(text, "#") {
		return 0
	}
	prefix := "set -- "
	if text[0] == '!' {
		prefix, text = "", " "+text[1:]
	}
	parser := syntax.NewParser(syntax.Variant(syntax.LangPOSIX), syntax.KeepComments(true))
	tree, err := parser.Parse(strings.NewReader(encode(prefix+text)), "")
	if err != nil {
		return -1
	}
	at := -1
	syntax.Walk(tree, func(node syntax.Node) bool {
		if comment, ok := node.(*syntax.Comment); ok {
			at = len(plainText(encode(prefix + text)[:comment.Pos().Offset()])) - len(prefix)
		}
		return true
	})
	return at
}

// evaluated is the script's own text for a line, with globbing off.
func (sh *shell) evaluated(text string) string {
	quoted := strings.ReplaceAll("set -- "+text, "'", `'\''`)
	return "set -f; eval '" + quoted + "'; ifconfig " + sh.iface + ` "$@"`
}

// parse reads sh text. A text that sh surely refuses gives an error; one that
// only this parser refuses is left to the shell.
func (sh *shell) parse(text string) reading {
	tree, err := sh.parser.Parse(strings.NewReader(encode(text)), "")
	if err == nil && runsIn(tree) {
		return reading{shell: text}
	}
	if err == nil {
		s := reading{tree: tree}
		for _, stmt := range tree.Stmts {
			s.input = both(s.input, sh.appetite(stmt))
		}
		return s
	}
	// Other shells' features are not always errors here, a here-document may end
	// with the text, after a redirection no word is reserved, and a substitution
	// that is wrong fails only when it is reached.
	_, other := errors.AsType[syntax.LangError](err)
	if other || strings.ContainsAny(text, "<>") || strings.Contains(text, "${") {
		return reading{shell: text}
	}
	if e, ok := errors.AsType[syntax.ParseError](err); ok {
		err = errors.New(plainText(e.Text))
	}
	return reading{err: err}
}

// runsIn reports whether a command is called "in": a word that some shells keep
// for their grammar everywhere, and refuse the whole text.
func runsIn(tree *syntax.File) bool {
	found := false
	syntax.Walk(tree, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if ok && len(call.Args) > 0 && call.Args[0].Lit() == "in" {
			found = true
		}
		return !found
	})
	return found
}

// isCall reports whether stmt is one command with its words and nothing else.
func isCall(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	return ok && len(call.Assigns) == 0 && len(stmt.Redirs) == 0 &&
		!stmt.Negated && !stmt.Background && !stmt.Coprocess && !stmt.Disown
}

// plain returns the words of a command that runs a program, whatever has run
// before it. ok is false for anything else; the words of a builtin are returned
// all the same.
func (sh *shell) plain(stmt *syntax.Stmt, glob bool) (argv []string, ok bool) {
	if !isCall(stmt) {
		return nil, false
	}
	args := stmt.Cmd.(*syntax.CallExpr).Args
	argv = make([]string, 0, len(args))
	for _, word := range args {
		text, ok := sh.word(word, glob)
		if !ok {
			return nil, false
		}
		argv = append(argv, text)
	}
	return argv, !slices.Contains(notPrograms, argv[0])
}

// word expands a word, if it is made of text, quotes and $int only. glob says
// whether the shell would look for file names.
func (sh *shell) word(w *syntax.Word, glob bool) (string, bool) {
	var b strings.Builder
	for i, part := range w.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			if i == 0 && strings.HasPrefix(part.Value, "~") || !unquoted(&b, part.Value, glob) {
				return "", false
			}
		case *syntax.SglQuoted:
			if part.Dollar {
				return "", false
			}
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			if part.Dollar || !sh.doubleQuoted(&b, part.Parts) {
				return "", false
			}
		case *syntax.ParamExp:
			if !isInt(part) {
				return "", false
			}
			b.WriteString(sh.iface)
		default:
			return "", false
		}
	}
	return plainText(b.String()), true
}

// unquoted removes the backslashes of text outside quotes.
func unquoted(b *strings.Builder, text string, glob bool) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
		case c == '\\' || c == '$':
			return false
		case glob && strings.IndexByte("*?[", c) >= 0:
			return false
		}
		b.WriteByte(text[i])
	}
	return true
}

// doubleQuoted expands what stands between double quotes, where a backslash
// counts before four characters only (POSIX XCU 2.2.3).
func (sh *shell) doubleQuoted(b *strings.Builder, parts []syntax.WordPart) bool {
	for _, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			for i := 0; i < len(part.Value); i++ {
				c := part.Value[i]
				if c == '\\' && i+1 < len(part.Value) && strings.IndexByte("$`\"\\", part.Value[i+1]) >= 0 {
					i++
				} else if c == '$' {
					return false
				}
				b.WriteByte(part.Value[i])
			}
		case *syntax.ParamExp:
			if !isInt(part) {
				return false
			}
			b.WriteString(sh.iface)
		default:
			return false
		}
	}
	return true
}

// isInt reports whether p is $int or ${int}, and nothing is done with it.
func isInt(p *syntax.ParamExp) bool {
	return p.Param != nil && p.Param.Value == "int" && p.Exp == nil && p.Slice == nil &&
		p.Repl == nil && p.Index == nil && p.Names == 0 && !p.Excl && !p.Length && !p.Width
}

// notPrograms are the words that run no program in rc.d/network: builtins of
// sh(1) that change the shell or read from it, and the functions of rc.subr(8).
// Builtins that only print or test, such as echo, have a program of that name.
var notPrograms = []string{
	".", ":", "alias", "bg", "break", "builtin", "cd", "command", "continue", "eval", "exec",
	"exit", "export", "fc", "fg", "getopts", "hash", "inputrc", "jobid", "jobs", "local",
	"read", "readonly", "return", "set", "setvar", "shift", "specialvar", "suspend", "times",
	"trap", "type", "ulimit", "umask", "unalias", "unset", "wait",

	"backup_file", "check_pidfile", "check_process", "checkyesno", "checkyesnox", "err",
	"collapse_backslash_newline", "kat", "load_rc_config", "load_rc_config_var",
	"mount_critical_filesystems", "no_rc_postprocess", "print_rc_metadata",
	"print_rc_normal", "rc_usage", "reverse_list", "run_rc_command", "run_rc_script",
	"stop_boot", "twiddle", "wait_for_pids", "warn", "yesno_to_truefalse",
}

// reserved are the words that sh(1) takes for its grammar where a command may
// begin.
var reserved = []string{
	"!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function",
	"if", "in", "then", "until", "while",
}

// The shell works on bytes; the parser wants UTF-8, and takes a carriage return
// for a blank. So a byte that is neither printable ASCII nor a blank becomes a
// character of the private use area while the text is parsed.
const private = 0xe000

func encode(text string) string {
	if !strings.ContainsFunc(text, isOdd) {
		return text
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		if isOdd(rune(c)) {
			b.WriteRune(private + rune(c))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isOdd(r rune) bool { return r >= 0x7f || r < ' ' && r != '\t' }

// plainText undoes encode, on any piece of the text.
func plainText(text string) string {
	if !strings.ContainsFunc(text, isOdd) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if r >= private && r <= private+0xff {
			b.WriteByte(byte(r - private))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

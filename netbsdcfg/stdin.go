package netbsdcfg

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// An appetite says what a command takes of the script's standard input, which
// is the rest of the file.
type appetite int

const (
	takesNothing appetite = iota
	takesLine             // the next line, as read(1) does
	takesSome             // maybe something: it depends on what runs
	takesAll
)

// appetite says what a statement reads of the standard input that it inherits.
func (sh *shell) appetite(stmt *syntax.Stmt) appetite {
	if stmt.Background || slices.ContainsFunc(stmt.Redirs, redirectsInput) {
		return takesNothing // a background job reads /dev/null
	}
	var takes appetite
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		takes = reads(sh.words(cmd))
	case *syntax.BinaryCmd:
		takes = sh.appetite(cmd.X)
		if cmd.Op == syntax.AndStmt || cmd.Op == syntax.OrStmt {
			takes = both(takes, perhaps(sh.appetite(cmd.Y)))
		}
		return takes
	case *syntax.Subshell:
		for _, s := range cmd.Stmts {
			takes = both(takes, sh.appetite(s))
		}
		return takes
	}
	// Substitutions inherit the input as well; what stands in other compounds
	// may run or not.
	syntax.Walk(stmt, func(node syntax.Node) bool {
		inner, ok := node.(*syntax.Stmt)
		if !ok || inner == stmt {
			return true
		}
		takes = both(takes, perhaps(sh.appetite(inner)))
		return false
	})
	return takes
}

// both is what two commands take, one after the other.
func both(a, b appetite) appetite {
	if a == takesLine && b == takesLine {
		return takesSome // more than one line
	}
	return max(a, b)
}

// perhaps is what a command takes that may run or not.
func perhaps(a appetite) appetite {
	if a == takesNothing {
		return a
	}
	return takesSome
}

func redirectsInput(r *syntax.Redirect) bool {
	if r.N != nil {
		return r.N.Value == "0"
	}
	switch r.Op {
	case syntax.RdrIn, syntax.RdrInOut, syntax.DplIn, syntax.Hdoc, syntax.DashHdoc:
		return true
	}
	return false
}

// words returns the words of a command, and whether all of them are known.
func (sh *shell) words(call *syntax.CallExpr) (argv []string, sure bool) {
	sure = true
	for _, word := range call.Args {
		text, ok := sh.word(word, true)
		sure = sure && ok
		argv = append(argv, text)
	}
	return argv, sure
}

// reads knows the programs that read their standard input. Others may too.
func reads(argv []string, sure bool) appetite {
	if len(argv) == 0 {
		return takesNothing
	}
	takes, args := takesNothing, argv[1:]
	switch path.Base(argv[0]) {
	case "read":
		takes = takesLine
	case "tee", "tr", "xargs":
		takes = takesAll
	case "wg-keygen":
		if !sure || slices.Contains(args, "--pub") {
			takes = takesAll
		}
	case "ssh":
		if !slices.Contains(args, "-n") {
			takes = takesAll
		}
	case "cat", "sh", "sort", "uniq", "head", "tail", "wc", "md5", "cksum":
		files := slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
			return strings.HasPrefix(arg, "-") && arg != "-" || strings.Trim(arg, "0123456789") == ""
		})
		if len(files) == 0 || slices.Contains(files, "-") {
			takes = takesAll
		}
	}
	if !sure {
		return perhaps(takes)
	}
	return takes
}

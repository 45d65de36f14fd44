package main

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/rehost/rehost/internal/textfile"
	"github.com/rehost/rehost/netbsdcfg"
)

// checkHook finds what goes wrong in a script of one's own that makes the rules: appended
// at each start of the interface they double, and an address that is looked up is empty
// where the host is not known.
func checkHook(name string, data []byte) (problems netbsdcfg.Problems) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(data), name)
	if err != nil {
		return nil // it is no shell script, and not ours to judge
	}
	warn := func(at syntax.Pos, format string, args ...any) {
		problems = append(problems, netbsdcfg.Problem{File: name, Line: int(at.Line()), Col: int(at.Col()), Severity: netbsdcfg.Warning, Message: fmt.Sprintf(format, args...)})
	}
	guarded := map[*syntax.Stmt]bool{} // iptables -C RULE || iptables -A RULE
	var appends []*syntax.Stmt
	afresh := false // it takes rules away before it appends them
	syntax.Walk(file, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.BinaryCmd:
			if n.Op == syntax.OrStmt && slices.Contains(iptablesWords(n.X), "-C") {
				guarded[n.Y] = true
			}
		case *syntax.Stmt:
			words := iptablesWords(n)
			if slices.Contains(words, "-A") && !guarded[n] {
				appends = append(appends, n)
			}
			afresh = afresh || slices.Contains(words, "-F") || slices.Contains(words, "-D")
		case *syntax.IfClause:
			for _, cond := range n.Cond {
				for _, then := range n.Then {
					guarded[then] = guarded[then] || slices.Contains(iptablesWords(cond), "-C")
				}
			}
		case *syntax.Assign:
			if n.Name != nil && n.Value != nil && looksUp(n.Value) {
				warn(n.Pos(), "%s is empty where the host is not known, as in /etc/hosts, and the rules go nowhere: write the address", n.Name.Value)
			}
		}
		return true
	})
	for _, s := range appends {
		if !afresh {
			warn(s.Pos(), "each start of the interface appends this rule again: take it out where the rendered script has the rule, else put \"%s -C ... ||\" before it", iptablesWords(s)[0])
		}
	}
	return problems
}

// iptablesWords are the words of a call of iptables, or nil. A word that is not plain is "".
func iptablesWords(s *syntax.Stmt) []string {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return nil
	}
	var words []string
	for _, w := range call.Args {
		words = append(words, w.Lit())
	}
	if program := path.Base(words[0]); program != "iptables" && program != "ip6tables" {
		return nil
	}
	return words
}

// looksUp reports whether a value comes from a command that asks for a host.
func looksUp(w *syntax.Word) bool {
	found := false
	syntax.Walk(w, func(node syntax.Node) bool {
		if call, ok := node.(*syntax.CallExpr); ok {
			for i, arg := range call.Args {
				word := arg.Lit()
				found = found || word == "/etc/hosts" || i == 0 && slices.Contains([]string{"getent", "host", "dig", "nslookup"}, path.Base(word))
			}
		}
		return true
	})
	return found
}

// checkRules finds rules that a file of iptables-restore has twice.
func checkRules(name string, data []byte) (problems netbsdcfg.Problems) {
	first := map[string]int{}
	for i, line := range textfile.Lines(data) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "*") { // another table
			clear(first)
		}
		if !strings.HasPrefix(line, "-A ") {
			continue
		}
		if before := first[line]; before != 0 {
			problems = append(problems, netbsdcfg.Problem{File: name, Line: i + 1, Col: 1, Severity: netbsdcfg.Warning,
				Message: fmt.Sprintf("the rule of line %d stands here again, as after -A was run twice: remove this line, and load the file with iptables-restore", before)})
			continue
		}
		first[line] = i + 1
	}
	return problems
}

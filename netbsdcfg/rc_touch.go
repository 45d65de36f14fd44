package netbsdcfg

import (
	"errors"
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// touched returns the variables that running a node may set. It errs on the
// side of more: what a subshell sets is counted too.
func (r *scriptReader) touched(node syntax.Node) (o other) {
	syntax.Walk(node, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl:
			r.define(n)
			return false // it sets nothing before it is called
		case *syntax.Assign:
			o.names = append(o.names, n.Name.Value)
		case *syntax.WordIter:
			o.names = append(o.names, n.Name.Value)
		case *syntax.ParamExp:
			if n.Param != nil && n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
				o.names = append(o.names, n.Param.Value)
			}
		case *syntax.ArithmExp:
			o.arithmetic(n.X)
		case *syntax.CallExpr:
			r.command(&o, n)
		}
		return true
	})
	return o
}

// define keeps what a function may do when it is called later.
func (r *scriptReader) define(f *syntax.FuncDecl) {
	if f.Name == nil { // the parser takes it, no shell does
		r.err = &ParseError{Line: int(f.Pos().Line()), Col: int(f.Pos().Col()), Err: errors.New("a function without a name")}
		return
	}
	r.funcs[f.Name.Value] = true
	body := r.touched(f.Body)
	r.bodies, r.wild, r.exits = append(r.bodies, body.names...), r.wild || body.any, r.exits || body.exits
	for _, key := range body.locks {
		r.locked[key] = true
	}
}

// command adds what a simple command may set beyond the assignments before it.
func (r *scriptReader) command(o *other, call *syntax.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	name, args := call.Args[0].Lit(), call.Args[1:]
	switch {
	case name == "." || name == "eval" || name == "" || name == "command" || name == "alias":
		o.any = true
	case r.funcs[name]:
		o.names, o.any, o.exits = append(o.names, r.bodies...), o.any || r.wild, o.exits || r.exits
	case ends(call) && name == "return":
		o.returns = true
	case ends(call):
		o.exits = true
	case slices.Contains([]string{"read", "unset", "export", "readonly", "local", "getopts"}, name):
		for _, w := range args {
			key := w.Lit()
			if key == "" { // computed, or name="value" in quotes
				if lit, ok := w.Parts[0].(*syntax.Lit); ok {
					key = lit.Value
				}
			}
			for i := range key {
				if key[i] == '=' {
					key = key[:i]
					break
				}
			}
			switch {
			case validKey(key):
				o.names = append(o.names, key)
				if name == "readonly" {
					o.locks = append(o.locks, key)
				}
			case len(key) == 0 || key[0] != '-':
				o.any = true
			}
		}
	}
}

// arithmetic adds what an arithmetic expression may set: every name in it, for
// an assignment in one is too rare to be worth telling from a use.
func (o *other) arithmetic(x syntax.ArithmExpr) {
	syntax.Walk(x, func(n syntax.Node) bool {
		if lit, ok := n.(*syntax.Lit); ok && validKey(lit.Value) {
			o.names = append(o.names, lit.Value)
		}
		return true
	})
}

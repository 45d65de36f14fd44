package natfwd

import "strings"

// The chains of a set, each called by a rule in the built-in chain it is named for.
// A chain that would be empty is not made.
var hooks = []struct{ builtin, suffix string }{
	{"PREROUTING", "-pre"},
	{"OUTPUT", "-out"},
	{"POSTROUTING", "-post"},
}

// chainPrefix begins the names of all chains of this package. With the longest
// suffix and the longest name of a set that makes 28 bytes, the kernel's limit.
const chainPrefix = "rehost-"

// A chain is one of a set's own chains as it should be.
type chain struct {
	name    string
	builtin string   // that calls it
	rules   []string // as iptables-save prints them, without "-A CHAIN "
}

// chains are what the set wants in a family's nat table; none if it wants nothing.
// The set must be valid.
func (s Set) chains(f Family) []chain { return nil }

// jump is the rule in the built-in chain, as iptables-save prints it.
func (c chain) jump() string { return "-j " + c.name }

// refill writes the lines of a restore text that empty the chain, making it if need
// be, and fill it.
func (c chain) refill(b *strings.Builder) {
	b.WriteString(":" + c.name + " - [0:0]\n")
	for _, rule := range c.rules {
		b.WriteString("-A " + c.name + " " + rule + "\n")
	}
}

package pfrules_test

import (
	"errors"
	"fmt"
	"log"
	"net/netip"

	"github.com/rehost/rehost/pfrules"
)

// A host has its default route at home and a tunnel with a public address. What
// comes in through the tunnel must be answered through it.
func ExampleReplyVia() {
	rules := []pfrules.Rule{
		pfrules.ReplyVia("wg0", netip.MustParseAddr("172.16.1.1"), "tcp", "udp"),
		pfrules.ReplyVia("wg0", netip.MustParseAddr("2001:db8:189c:700:b4d2::1"), "tcp", "udp"),
	}
	for _, d := range []pfrules.Dialect{pfrules.NetBSD, pfrules.FreeBSD, pfrules.OpenBSD} {
		fmt.Println(d)
		for _, rule := range rules {
			text, err := rule.Format(d)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println("\t" + text)
		}
	}
	// Output:
	// NetBSD
	// 	pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any
	// 	pass in on wg0 reply-to (wg0 2001:db8:189c:700:b4d2::1) inet6 proto { tcp udp } from any to any
	// FreeBSD
	// 	pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any
	// 	pass in on wg0 reply-to (wg0 2001:db8:189c:700:b4d2::1) inet6 proto { tcp udp } from any to any
	// OpenBSD
	// 	pass in on wg0 inet proto { tcp udp } from any to any reply-to 172.16.1.1
	// 	pass in on wg0 inet6 proto { tcp udp } from any to any reply-to 2001:db8:189c:700:b4d2::1
}

// A file as it was found: comments, a list in a macro, a line continued.
const found = `# pf.conf of senate; last edit: me
ext_if   = "vioif0"   # home
services = "{ 25 53 465 587 }"

set skip on lo0
scrub in all          # do not ask

block in log
pass out
pass in on $ext_if proto { tcp udp } \
	to any port $services   # the old way in
`

// The block goes where the section order allows it. Set again, nothing changes.
func ExampleFile_SetBlock() {
	f, err := pfrules.Parse("pf.conf", pfrules.NetBSD, []byte(found))
	if err != nil {
		log.Fatal(err)
	}
	rule := pfrules.ReplyVia("wg0", netip.MustParseAddr("172.16.1.1"), "tcp", "udp")
	for range 2 {
		if err := f.SetBlock("uplink", pfrules.FilterEnd, []pfrules.Rule{rule}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Print(f.Changes())

	err = f.SetBlock("early", pfrules.Before(2), []pfrules.Rule{rule})
	fmt.Println(err)
	// Output:
	// --- pf.conf
	// +++ pf.conf
	// @@ -9,3 +9,6 @@
	//  pass out
	//  pass in on $ext_if proto { tcp udp } \
	//  	to any port $services   # the old way in
	// +# rehost uplink begin
	// +pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any
	// +# rehost uplink end
	// place: "Before(2)": normalization in line 6 must come before all rules
}

// RemoveBlock is the way back, to the byte.
func ExampleFile_RemoveBlock() {
	f, err := pfrules.Parse("pf.conf", pfrules.NetBSD, []byte(found))
	if err != nil {
		log.Fatal(err)
	}
	rule := pfrules.ReplyVia("wg0", netip.MustParseAddr("172.16.1.1"))
	if err := f.SetBlock("uplink", pfrules.FilterEnd, []pfrules.Rule{rule}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.RemoveBlock("uplink"), string(f.Bytes()) == found)
	fmt.Println(f.RemoveBlock("uplink"))
	// Output:
	// true true
	// false
}

// Without quick the last rule that matches decides, so a rule at the start of the
// filter section is dead as soon as a later one takes its packets.
func ExampleFile_Check() {
	f, err := pfrules.Parse("pf.conf", pfrules.NetBSD, []byte(found))
	if err != nil {
		log.Fatal(err)
	}
	rule := pfrules.ReplyVia("wg0", netip.MustParseAddr("172.16.1.1"), "tcp", "udp")
	if err := f.SetBlock("uplink", pfrules.FilterStart, []pfrules.Rule{rule}); err != nil {
		log.Fatal(err)
	}
	fmt.Print(f.Check())

	rule.Quick = true
	if err := f.SetBlock("uplink", pfrules.FilterStart, []pfrules.Rule{rule}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(f.Check()), "problems")
	// Output:
	// pf.conf:9:1: error: the rule with reply-to is dead: the later rule in line 11 takes all its packets, because this one is not quick
	// 0 problems
}

// Rules are read with their macros expanded; a rule with lists is one rule.
func ExampleFile_All() {
	f, err := pfrules.Parse("pf.conf", pfrules.NetBSD, []byte(found))
	if err != nil {
		log.Fatal(err)
	}
	for line, rule := range f.All() {
		fmt.Println(line, rule.Action, rule.Direction, rule.Ifaces, rule.Protos, len(rule.To.Ports), "ports")
	}
	// Output:
	// 8 block in [] [] 0 ports
	// 9 pass out [] [] 0 ports
	// 10 pass in [{vioif0 false}] [tcp udp] 4 ports
}

// Statements are all that a file holds, with the part of the file they are in.
func ExampleFile_Statements() {
	f, err := pfrules.Parse("pf.conf", pfrules.NetBSD, []byte(found))
	if err != nil {
		log.Fatal(err)
	}
	for st := range f.Statements() {
		switch {
		case st.Macro != nil:
			fmt.Printf("%d macro %s is %s\n", st.Line, st.Macro.Name, st.Macro.Value)
		case st.Rule == nil:
			fmt.Println(st.Line, st.Section)
		}
	}
	// Output:
	// 2 macro ext_if is vioif0
	// 3 macro services is { 25 53 465 587 }
	// 5 options
	// 6 normalization
}

// A macro is written with the quotes that its value needs.
func ExampleMacro_Format() {
	text, err := pfrules.Macro{Name: "tunnel", Value: "{ 172.16.1.0/24 }"}.Format(pfrules.NetBSD)
	fmt.Println(text, err)
	_, err = pfrules.Macro{Name: "int-if", Value: "em0"}.Format(pfrules.NetBSD)
	fmt.Println(err)
	// Output:
	// tunnel = "{ 172.16.1.0/24 }" <nil>
	// macro: "int-if": the name is not all letters, digits and _, so $name cannot be it
}

// The same text means another thing, or nothing, in another dialect.
func ExampleParseRule() {
	text := "pass in on wg0 reply-to 172.16.1.1"
	for _, d := range []pfrules.Dialect{pfrules.OpenBSD, pfrules.FreeBSD} {
		rule, err := pfrules.ParseRule(d, text)
		if err != nil {
			fmt.Printf("%s refuses it: %v\n", d, errors.Unwrap(err))
			continue
		}
		fmt.Println(d, "has the gateway", rule.Route.Gateway)
	}
	// Output:
	// OpenBSD has the gateway 172.16.1.1
	// FreeBSD refuses it: reply-to takes 172.16.1.1 for the name of an interface and does nothing: write reply-to (IF 172.16.1.1)
}

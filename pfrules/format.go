package pfrules

import (
	"cmp"
	"strconv"
	"strings"
)

// Format returns the rule as one line without a newline, in the order of the
// dialect. It writes lists without commas, ports as numbers, and all as "from any
// to any". Its error is a *[ValueError] that says what the dialect cannot express.
func (r Rule) Format(d Dialect) (string, error) {
	if err := d.valid(); err != nil {
		return "", err
	}
	r = r.canonical(d)
	if err := cmp.Or(r.validNames(d), r.validate(d)); err != nil {
		return "", err
	}
	w := &writer{}
	w.add(r.Action.String(), r.Direction.String())
	w.addIf(r.Log, "log")
	w.addIf(r.Quick, "quick")
	addList(w, "on", r.Ifaces, Iface.text)
	if d != OpenBSD {
		w.add(r.Route.text(d))
	}
	w.add(r.Family.String())
	addList(w, "proto", r.Protos, func(s string) string { return s })
	w.peer("from", r.From)
	w.peer("to", r.To)
	if r.Flags != "" {
		w.add("flags", r.Flags)
	}
	keyword := "icmp-type"
	if len(r.Protos) > 0 && r.Protos[0] == "icmp6" {
		keyword = "icmp6-type"
	}
	addList(w, keyword, r.ICMPTypes, func(s string) string { return s })
	w.addIf(r.AllowOpts, "allow-opts")
	w.addIf(r.State != KeepState || r.StateOptions != nil, r.State.String())
	if r.StateOptions != nil {
		w.add("(" + strings.Join(r.StateOptions, ", ") + ")")
	}
	w.name("tag", r.Tag)
	w.addIf(r.NotTagged, "!")
	w.name("tagged", r.Tagged)
	w.name("label", r.Label)
	if d == OpenBSD {
		w.add(r.Route.text(d))
	}
	return w.String(), nil
}

// A writer joins words with blanks.
type writer struct{ strings.Builder }

func (w *writer) add(words ...string) {
	for _, word := range words {
		if word != "" {
			if w.Len() > 0 {
				w.WriteByte(' ')
			}
			w.WriteString(word)
		}
	}
}

func (w *writer) addIf(ok bool, words ...string) {
	if ok {
		w.add(words...)
	}
}

// name writes a text with the quotes that it needs, nothing for "".
func (w *writer) name(keyword, text string) {
	if text == "" {
		return
	}
	if !isBareName(text) {
		text = `"` + text + `"`
	}
	w.add(keyword, text)
}

// addList writes one item bare, several in braces.
func addList[T any](w *writer, keyword string, items []T, text func(T) string) {
	switch len(items) {
	case 0:
		return
	case 1:
		w.add(keyword, text(items[0]))
		return
	}
	w.add(keyword, "{")
	for _, item := range items {
		w.add(text(item))
	}
	w.add("}")
}

func (w *writer) peer(keyword string, p Peer) {
	if p.Hosts == nil {
		w.add(keyword, "any")
	} else {
		addList(w, keyword, p.Hosts, Host.text)
	}
	addList(w, "port", p.Ports, Port.text)
}

func (i Iface) text() string { return not(i.Not) + i.Name }

func not(not bool) string {
	if not {
		return "!"
	}
	return ""
}

func (h Host) text() string {
	switch text := not(h.Not); {
	case h.Table != "":
		return text + "<" + h.Table + ">"
	case h.Iface != "":
		return text + "(" + h.Iface + ")"
	case h.Name != "":
		return text + h.Name
	case h.Prefix.IsSingleIP():
		return text + h.Prefix.Addr().String()
	default:
		return text + h.Prefix.String()
	}
}

func (p Port) text() string {
	first, last := strconv.Itoa(int(p.First)), strconv.Itoa(int(p.Last))
	switch {
	case p.Op == PortRange && p.Last == 0:
		return first
	case p.Op == PortRange:
		return first + ":" + last
	case p.Op == PortBetween || p.Op == PortOutside:
		return first + " " + p.Op.String() + " " + last
	}
	return p.Op.String() + " " + first
}

func (r Route) text(d Dialect) string {
	switch {
	case r.Kind == 0:
		return ""
	case d == OpenBSD && r.Gateway.IsValid():
		return r.Kind.String() + " " + r.Gateway.String()
	case d == OpenBSD:
		return r.Kind.String() + " (" + r.Iface + ":peer)"
	case r.Gateway.IsValid():
		return r.Kind.String() + " (" + r.Iface + " " + r.Gateway.String() + ")"
	}
	return r.Kind.String() + " " + r.Iface
}

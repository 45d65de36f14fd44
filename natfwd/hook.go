package natfwd

import "strings"

// Hook renders the set for ifupdown: a script that loads it before iface comes up
// and removes it when iface is down, and the link by which ifupdown finds the
// script the second time. The script changes nothing but the set's own chains and
// the rules that call them, in one step for each family; chains that an older form
// of the set has left go too.
//
// It may run as often as it likes: ifupdown runs it for each of the stanzas inet
// and inet6, again after an ifup that failed, and for "--all", which is none of its
// business. If one family cannot be loaded, as where the kernel has no IPv6, the
// script says so and loads the other. It always exits 0: otherwise the router would
// stay without the interface by which one could mend it.
//
// iface is the name of one interface. If it is not, or the set is not valid, the
// error holds a [*ValueError].
func (s Set) Hook(iface string) ([]Output, error) {
	if reason := unfitIface(iface); reason != "" {
		return nil, &ValueError{Field: "interface", Value: iface, Reason: reason}
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	const up, down = "/etc/network/if-pre-up.d/", "/etc/network/if-post-down.d/"
	name := chainPrefix + s.Name // without ".", for which run-parts(8) passes a script over
	script := "#!/bin/sh\n" +
		"# Loads the forwards \"" + s.Name + "\" before " + iface + " is up, and removes them when it is down.\n" +
		"# Made by rehost; ifupdown runs it, see interfaces(5). By hand:\n" +
		"#   IFACE=" + iface + " MODE=start " + up + name + "   (or MODE=stop)\n" +
		"[ \"${IFACE-}\" = '" + iface + "' ] || exit 0\n" +
		"set -- \"${MODE-}\"\n" +
		s.script()
	// A link that leads nowhere makes every ifup fail in the first folder, and none
	// fail in the second.
	return []Output{
		{Path: up + name, Mode: 0o755, Data: []byte(script)},
		{Path: down + name, Link: "../if-pre-up.d/" + name},
	}, nil
}

// script loads the set if $1 is start, and removes it if it is stop.
func (s Set) script() string {
	var b strings.Builder
	b.WriteString("name='" + chainPrefix + s.Name + "'\n" + scriptFunctions)
	b.WriteString("case \"$1\" in\nstart)\n")
	for family, program := range []string{IPv4: "iptables", IPv6: "ip6tables"} {
		b.WriteString("\tchange " + program + " <<'END'\n")
		for _, c := range s.chains(Family(family)) {
			c.refill(&b)
		}
		b.WriteString("END\n")
	}
	b.WriteString("\t;;\n" +
		"stop)\n" +
		"\tchange iptables </dev/null\n" +
		"\tchange ip6tables </dev/null\n" +
		"\t;;\n" +
		"esac\n" +
		"exit 0\n")
	return b.String()
}

// scriptFunctions learn what is there from iptables-save, which prints the same with
// both backends, and whose failure is not mistaken for a rule that is missing, as
// that of iptables -C would be. A rule that is there would be added again, one that
// is not cannot be deleted; a chain can be made whether it is there or not.
const scriptFunctions = `
LC_ALL=C # otherwise sed does not see past bytes that are no characters
export LC_ALL

# odd prints what would be misread: that iptables cannot show the table, and lines
# in which a quote is open, since comments may have more than one.
odd() {
	printf '%s\n' "$saved" | sed -n -e '/^# Table /p' -e 's/\\.//g' -e 's/"[^"]*"//g' -e '/"/p'
}

# hook BUILTIN CHAIN prints the commands by which BUILTIN calls CHAIN if that is
# wanted, and by which CHAIN is removed, and whatever calls it, if not.
hook() {
	case "$wanted" in
	*":$2 "*)
		calls=$(printf '%s\n' "$saved" | sed -n "/^-A $1 -j $2\$/p")
		[ -n "$calls" ] || echo "-I $1 -j $2"
		;;
	*)
		echo ":$2 - [0:0]"
		printf '%s\n' "$saved" | sed -n "s/^-A \(.* -[gj] $2\)\$/-D \1/p"
		echo "-X $2"
		;;
	esac
}

# change PROGRAM makes the chains on standard input those of the set, all or none.
change() {
	wanted=$(cat)
	hidden=
	# A machine without IPv6 has nothing to remove there.
	if [ "$1$wanted" = ip6tables ] && ! ip6tables-save -t nat >/dev/null 2>&1; then
		return
	fi
	if saved=$("$1-save" -t nat) && hidden=$(odd) && [ -z "$hidden" ]; then
		case "$wanted$saved" in
		*":$name-"*) ;;
		*) return ;;
		esac
		{
			printf '%s\n' '*nat' "$wanted"
			hook PREROUTING "$name-pre"
			hook OUTPUT "$name-out"
			hook POSTROUTING "$name-post"
			echo COMMIT
		} | "$1-restore" --wait=60 --noflush && return
	fi
	echo "$name: the forwards of $1 are as they were${hidden:+, since this cannot be read: $hidden}" >&2
}

`

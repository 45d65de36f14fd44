// Package natfwd forwards ports of a Linux router to machines behind it, by DNAT in
// the nat tables of iptables(8) and ip6tables(8), and keeps them forwarded.
//
// A [Set] says what is forwarded, for both families at once. [Diff] compares it with
// the live rules and plans what differs, [Apply] makes it so, [Verify] tells a cron
// job what is missing or in the way:
//
//	set := natfwd.Set{
//		Name:       "senate",
//		Masquerade: []string{"ens5"},
//		Forwards: []natfwd.Forward{{
//			Proto: natfwd.TCP,
//			Iface: "ens5",
//			Ports: []natfwd.PortRange{{First: 25}, {First: 465}, {First: 587}},
//			To:    []netip.Addr{netip.MustParseAddr("172.16.1.4")},
//		}},
//	}
//	router, err := natfwd.NewIPTables(natfwd.IPv4, nil)
//	if err != nil {
//		return err
//	}
//	plan, err := natfwd.Diff(ctx, set, router)
//	if err != nil {
//		return err
//	}
//	fmt.Print(plan)
//	return natfwd.Apply(ctx, plan)
//
// A set has chains of its own, rehost-NAME-pre, -out and -post, each called by one
// rule at the front of PREROUTING, OUTPUT and POSTROUTING. What it guarantees:
//
//   - Rules that are not the set's are never touched. One that takes the same packets
//     is [ErrConflict], with the rule, and so is another set that does.
//   - A family's rules change in one transaction of iptables-restore(8). A crash, a
//     kill or a full disk leaves the old rules or the new ones, and if the second
//     family fails the first is put back.
//   - A second Apply finds nothing to do. The difference is taken on the meaning of
//     rules: the order of options and of forwards is none.
//   - The removal, Diff of a set with only a name, leaves what was there before.
//   - UDP conversations of changed forwards, which the kernel would send to the old
//     target as long as they go on, are forgotten, by the address and port to which
//     they were sent; never all of them.
//   - No name or address of a set can become an option, a rule or a command.
//
// Live rules are gone after a boot. [Set.Hook] renders a script for ifupdown(8) that
// loads them with an interface, [Set.Unit] a unit of systemd(1) that does so at boot,
// [Set.Render] a file of iptables-persistent: use one of the three.
// [Set.InboundRules] is what a cloud's firewall has to let in.
//
// The package does not filter, and does not turn forwarding on in the kernel: Verify
// reports a FORWARD chain whose policy drops what no rule accepts, and
// net.ipv4.ip_forward when it is off. A foreign rule with matches that are not
// understood here, such as a set of addresses, counts as one that takes all. It does
// not know nft rules outside of iptables. Where another tool owns the nat table
// (firewalld, nftables.service), forward there.
//
// Nothing runs in a goroutine: who has locked a thread to a network namespace works
// on the rules of that one.
//
// # Speed
//
// Beside the programs of iptables 1.8.9, in one run on two cores (BenchmarkIPTables):
// an Apply with its Diff, for forwards of one family that are all rules of their own.
//
//	                                   nft backend        legacy
//	                               100  1000  4000   100  1000  4000
//	first apply, × one restore     2.0   1.1   1.2   3.2   2.3   2.0
//	nothing to do, × one save      1.3   1.3   1.6   1.2   2.0   2.8
//	ten changed, × one restore     1.5   1.9   1.9   3.8   2.6   3.3
//	first apply by go-iptables,
//	  rule by rule, × ours               247               280
//
// The restore is that of the same rules, without a look at what is there.
//
// # Kills
//
// A process that applies two sets, A and B, one after the other without a pause was
// killed with SIGKILL at random instants, with its iptables-restore or without it, 100
// times with each backend (REHOST_KILLS=100 go test -run Killed -v ./natfwd). It left
// each family with all rules of A or all of B:
//
//	IPv4  IPv6  nft  legacy
//	A     A      49      48
//	B     B      36      33
//	A     B       4       4
//	B     A      11      15
//	a mix         0       0
package natfwd

import "github.com/rehost/rehost/internal/textfile"

// The vocabulary that all packages of this module share.
type (
	// A Problem is something on the live system that does not work (Error) or is
	// probably not meant (Warning). It has File, Line and Col, Severity and
	// Message, and is an error that prints as "file:line:col: severity: message".
	// File is the command that shows it, such as "iptables-save".
	Problem = textfile.Problem

	// Problems are what Verify found. Their Err joins those of severity Error.
	Problems = textfile.Problems

	// A Severity is Warning or Error; it prints, and marshals, as a word.
	Severity = textfile.Severity

	// An Output is a file that was rendered whole: Path, Mode, Data, or Link.
	Output = textfile.Output

	// A ParseError is input that cannot be read: File, Line, Col and Err.
	ParseError = textfile.ParseError

	// A ValueError is a value that a rule cannot hold or that would not do what it
	// says: Field, Value and Reason. Nothing has been changed.
	ValueError = textfile.ValueError

	// A CommandError is a command that failed: Args, Stderr and Err.
	CommandError = textfile.CommandError
)

// The two severities.
const (
	Warning = textfile.Warning // it works, and is probably not meant
	Error   = textfile.Error   // it does not work
)

// ErrStale is returned by Apply when the rules are not those that the plan was made
// from.
var ErrStale = textfile.ErrStale

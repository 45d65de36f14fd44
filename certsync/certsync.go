// Package certsync brings certificates from the machine that gets them to the daemons
// that serve them, on other machines too, and never has one of them read a chain with
// another's key.
//
// On the router a [Renewer] has an [Issuer] (package certsync/acme for Let's Encrypt, or a
// [LocalCA] for tests and private names) make what is due, and installs it in a [Dir], from
// which [Handler] or nginx publishes it to the addresses that may have it. On the guest a
// [Consumer] fetches with a [Client], validates, installs in a Dir of its own and tells the
// daemons:
//
//	consumer := &certsync.Consumer{
//		Source:       &certsync.Client{URL: "http://172.16.1.1:8443", Plain: tunnel},
//		Dir:          &certsync.Dir{Path: "/etc/certs", Group: "mail", Mode: 0o440},
//		Certificates: []certsync.Certificate{{Name: "senate.example.net"}},
//		Daemons: []certsync.Daemon{{
//			Name:   "postfix",
//			Reload: certsync.ReloadCommand("postfix", "reload"),
//			Probe:  certsync.ProbeSMTP("127.0.0.1:25", "senate.example.net"),
//		}},
//	}
//	events, err := consumer.Sync(ctx) // for cron; Run does so again and again
//
// What it guarantees:
//
//   - A [Bundle] is one thing: chain and key travel in one body with a digest, and are
//     installed together or not at all. Who resolves the link to the version in use once,
//     or reads the combined file, sees one version, whole, at any instant; also after a kill
//     or a power cut. [Layout] says what others see.
//   - Nothing is touched before all of [Bundle.Validate] holds: the key is the leaf's, the
//     chain is complete, the names are covered, it is valid now, and it is not older than
//     what is there.
//   - A daemon is told once for each change, and again until its reload does not fail and
//     its [Probe] sees a certificate served that is installed: a reload that exits 0 says
//     little. What is pending is on disk. A certificate that a daemon does not serve can be
//     rolled back.
//   - A machine that cannot reach its source, or its authority, says so in a log, and raises
//     the alarm when the end of a certificate comes near.
//   - Keys do not print, and owner and mode of a file are right before its first byte.
//
// It is level-triggered: every run compares what is installed with what there is, and what
// daemons were told with what is installed. Two runs at once wait for each other.
//
// The package does not revoke, staple, or log in to other machines: each fetches for
// itself. It keeps keys as files, for daemons that want files.
//
// # Speed
//
// A Sync of names of which none has changed, beside as many bare conditional requests on
// one connection of net/http to the same [Handler], in one process on two cores
// (BenchmarkSync):
//
//	names                  1,000   10,000
//	Sync / bare requests     1.7      1.6
//	heap, both ends, MiB       5       25
//
// # Kills
//
// A process that issued, published, fetched, installed and reloaded without a pause was
// killed with SIGKILL at random instants, while others read all the time
// (REHOST_KILLS=500 go test -run Killed -v ./certsync):
//
//	kills                                                       500
//	versions that a reader saw come                             721
//	reads of one version or one combined file               360,000
//	  mismatched, partial, missing, or of another mode            0
//	reads of two paths through the link                      90,000
//	  mismatched, as Layout says                                 17
//	reloads, each of which read two paths                       704
//	  mismatched                                                  0
package certsync

import (
	"errors"

	"github.com/rehost/rehost/internal/textfile"
)

// The vocabulary that all packages of this module share.
type (
	// An Output is a file that was rendered whole: Path, Mode, Data, or Link.
	Output = textfile.Output

	// A ParseError is input that cannot be read: File, Line, Col and Err.
	ParseError = textfile.ParseError

	// A ValueError is a value that cannot be used: Field, Value and Reason. Nothing has
	// been changed.
	ValueError = textfile.ValueError

	// A CommandError is a command that failed: Args, Stderr and Err.
	CommandError = textfile.CommandError
)

var (
	// ErrNotModified is returned by a Source that has no other bundle than the one the
	// caller has.
	ErrNotModified = errors.New("not modified")

	// ErrNotFound is returned by a Source that has no bundle of that name, and by a
	// rollback that has nothing to go back to.
	ErrNotFound = errors.New("not found")
)

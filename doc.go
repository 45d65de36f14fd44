// Package rehost is the tour of a library that moves a virtual machine and its
// services to other hardware behind a WireGuard tunnel. It has no code of its
// own: import the package that does your task. Each is independent of the
// others, and edits files without losing a byte that it was not told to change.
//
// Package bhyve (github.com/rehost/rehost/bhyve) edits the files that describe
// vm-bhyve's guests on FreeBSD. It reads them as vm-bhyve does, not as a shell
// would, has a typed view of disks, NICs and boot commands, and turns
// single-user mode on and off for the first boot at home.
//
// Package netbsdcfg (github.com/rehost/rehost/netbsdcfg) edits the files that
// configure a NetBSD machine's network: ifconfig.IF, rc.conf, modules.conf,
// sysctl.conf. It knows which commands rc(8) would run for them, renders a whole
// ifconfig.wg0, and finds the mistakes that lie between two files.
//
// Package pfrules (github.com/rehost/rehost/pfrules) writes and reads rules of
// pf with reply-to and route-to in the dialects of NetBSD, FreeBSD and OpenBSD,
// and keeps a marked block of them in a pf.conf.
//
// Package zone (github.com/rehost/rehost/zone) edits BIND zone files as named reads
// them, raises serials, has named reload and waits until all servers follow. It
// plans when TTLs must be lowered and when the old address can be switched off.
//
// Package blockcopy (github.com/rehost/rehost/blockcopy) copies block devices and
// images, here or to and from another machine. It goes on after a crash, moves what
// differs, reads back what it wrote, and computes the digest that b3sum prints. A
// live pass while the machine runs makes the stop for the final one short.
//
// Package wgpeer (github.com/rehost/rehost/wgpeer) describes a router and its guests
// once and makes both ends of their WireGuard tunnels from that: files of wg(8),
// wg-quick(8) and ifupdown, which it also edits, and live devices, of which it touches
// only the peers that change.
//
// Package natfwd (github.com/rehost/rehost/natfwd) forwards ports of a Linux router in
// chains of its own, in IPv4 and IPv6: it compares, applies in one transaction for each
// family, removes, verifies, and renders what loads the rules at boot.
//
// Package certsync (github.com/rehost/rehost/certsync) renews certificates on one machine
// and brings them to the daemons of another: chain and key together or neither, validated
// before anything is touched, each daemon told until it serves the new one. Package
// certsync/acme beside it gets them from Let's Encrypt.
//
// # What holds in all of them
//
// A file is read with Open (it exists), started with Create (it must not), or
// taken from bytes with Parse. Bytes returns its text, Changes a unified diff
// against what was read, Check what the real program would refuse, ignore or
// misread, and Save replaces the file: old or new at any instant, same owner,
// mode and symbolic link, and ErrStale if somebody else was faster.
//
// Get returns what the real program would use, quirks included. A value that a
// format cannot hold, or that would become a second line, rule or command, is
// refused with a *ValueError, and then nothing has changed.
//
// What is live is compared with Diff, which returns a Plan: Empty tells whether there
// is anything to do, String shows it, and Apply does it, or returns ErrStale if the
// system is not what the plan was made from.
//
// # A whole move
//
// The program github.com/rehost/rehost/examples/migrate composes the packages. It
// renders the move of one machine from one file, phase by phase, with a runbook;
// rehearses it on the machine at hand; and tells at each phase of the real one whether
// the next may begin:
//
//	go run github.com/rehost/rehost/examples/migrate@latest
//
// Each of its seven phases is the work of a few packages, and each package does its part
// for who needs that alone:
//
//  1. Prepare: the guest learns WireGuard (netbsdcfg, wgpeer).
//  2. Both paths answer: pfrules on the guest; natfwd on the router, which passes ports on.
//  3. Certificates: got by the router, served by the guest (certsync, certsync/acme).
//  4. DNS: short TTLs, then the new address (zone).
//  5. The disk: live, then with the machine stopped (blockcopy).
//  6. First boot at home: bhyve and netbsdcfg.
//  7. Check: wgpeer.Health, natfwd.Verify, zone.WaitSerial, certsync's probes.
//
// The programs zonectl, diskmove, tunnel, portfwd and certsyncd beside it are the
// packages zone, blockcopy, wgpeer, natfwd and certsync for the command line.
package rehost

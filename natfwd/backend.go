package natfwd

import "context"

// A Backend is the rules of one family on one system. An [*IPTables] is one; another
// may reach a router through ssh.
type Backend interface {
	// Family is whose rules they are.
	Family() Family

	// Dump returns all tables in the form of iptables-save(8).
	Dump(ctx context.Context) ([]byte, error)

	// Load takes a text as iptables-restore(8) does with --noflush: all of it in one
	// transaction, or nothing and an error.
	Load(ctx context.Context, rules []byte) error
}

// A flowKeeper is a Backend on whose system the kernel remembers where UDP packets
// go, and keeps sending them there after the rules have changed. What is to be
// forgotten is remembered before the rules change, so that a crash in between is
// made good by the next Apply.
type flowKeeper interface {
	rememberFlows(set string, flows []flow) error
	rememberedFlows(set string) ([]flow, error)
	forgetFlows(ctx context.Context, set string, flows []flow) error
}

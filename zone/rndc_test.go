package zone

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// small is a zone of the given serial, and what else is to stand in it.
func small(serial uint32, lines ...string) string {
	return fmt.Sprintf(`$TTL 300
@	SOA	ns1 hostmaster (
		%d	; serial
		1m 1m 1h 1m )
	NS	ns1	; the only one
ns1	A	192.0.2.1
`, serial) + strings.Join(append(lines, ""), "\n")
}

func primary(t *testing.T, options string) (*lab.NamedServer, *RNDC) {
	return start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; ` + options + ` };`,
		Files:  map[string]string{"example.net": small(5)},
	})
}

func start(t *testing.T, n lab.Named) (*lab.NamedServer, *RNDC) {
	t.Helper()
	s := lab.StartNamed(t, n)
	return s, &RNDC{Key: s.RNDCKey, Server: s.RNDCHost, Port: s.RNDCPort}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	// As Save does it: the clock of a file system ticks some milliseconds late, and named
	// loads nothing from before its last load.
	now := time.Now()
	require.NoError(t, os.Chtimes(path, now, now))
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// askedAfter waits until named has been asked for the zone's status once it has logged
// the text.
func askedAfter(t *testing.T, s *lab.NamedServer, text string) {
	assert.NoError(t, poll(within(t, patience), func() (bool, error) {
		_, after, _ := strings.Cut(s.Log(), text)
		return strings.Contains(after, "command 'zonestatus"), nil
	}, func(ended error) error { return fmt.Errorf("nobody asks after %q: %w", text, ended) }))
}

func served(t *testing.T, err error) *ServedError {
	t.Helper()
	var e *ServedError
	require.ErrorAs(t, err, &e)
	return e
}

const patience = time.Minute // for what is to happen at once

func TestReload(t *testing.T) {
	s, r := primary(t, "")
	ctx := within(t, patience)
	write(t, s.Path("example.net"), small(7))
	require.NoError(t, r.Reload(ctx, "example.net", 6), "at least")
	require.NoError(t, r.Reload(ctx, "Example.net.", 7), "again, after a crash")
	status, err := r.Status(ctx, "example.net")
	require.NoError(t, err)
	assert.Equal(t, uint32(7), status.Serial)
	assert.Equal(t, "primary", status.Type)
	assert.Equal(t, []string{"example.net"}, status.Files)
	assert.Equal(t, 2, status.Nodes)
	assert.False(t, status.Dynamic || status.Frozen || status.InlineSigning)
	assert.False(t, status.LastLoaded.IsZero())
}

func TestReloadOfABrokenZone(t *testing.T) {
	s, r := primary(t, "")
	write(t, s.Path("example.net"), small(6, "www A 192.0.2"))
	ctx, cancel := context.WithCancel(within(t, patience))
	go func() {
		defer cancel()
		askedAfter(t, s, "not loaded due to errors")
	}()
	err := r.Reload(ctx, "example.net", 6)
	require.ErrorIs(t, err, ErrNotLoaded)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, served(t, err).Loaded)
	assert.Equal(t, uint32(5), served(t, err).Served)
	assert.Contains(t, err.Error(), "example.net.: serial 6 is wanted and 5 served: named has not loaded the file")

	write(t, s.Path("example.net"), small(6, "www A 192.0.2.2"))
	assert.NoError(t, r.Reload(within(t, patience), "example.net", 6))
}

func TestReloadOfAZoneBrokenFromTheStart(t *testing.T) {
	s, r := start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; };`,
		Files:  map[string]string{"example.net": small(5, "www A 192.0.2")},
	})
	ctx := within(t, patience)
	_, err := r.Status(ctx, "example.net")
	require.ErrorIs(t, err, ErrNotLoaded)
	err = r.Reload(ctx, "example.net", 5)
	require.ErrorIs(t, err, ErrNotLoaded)
	assert.False(t, served(t, err).Loaded)
	assert.Contains(t, err.Error(), "and nothing served")
	assert.Contains(t, err.Error(), "bad dotted quad", "what named says is passed on")
	write(t, s.Path("example.net"), small(5))
	assert.NoError(t, r.Reload(ctx, "example.net", 5))
}

func TestReloadOfARawZoneFoundToBeText(t *testing.T) {
	s, r := primary(t, "")
	raw, rr := start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; masterfile-format raw; };`,
		Files:  map[string]string{"example.net": small(5)},
	})
	err := rr.Reload(within(t, patience), "example.net", 5)
	require.ErrorIs(t, err, ErrNotLoaded)
	assert.Contains(t, raw.Log(), "not loaded due to errors")
	assert.NoError(t, r.Reload(within(t, patience), "example.net", 5), "the same file as text: %s", s.Path("example.net"))
}

func TestReloadWithTheSerialNotRaised(t *testing.T) {
	s, r := primary(t, "")
	for _, serial := range []uint32{5, 4} { // unchanged, and backwards: named loads both
		write(t, s.Path("example.net"), small(serial, "www A 192.0.2.2"))
		err := r.Reload(within(t, patience), "example.net", 6)
		require.ErrorIs(t, err, ErrNotRaised)
		assert.Equal(t, serial, served(t, err).Served)
	}
}

func TestReloadIsDoneWhereANewerSerialIsServed(t *testing.T) {
	s, r := primary(t, "")
	require.NoError(t, r.Reload(within(t, patience), "example.net", 4))
	assert.NotContains(t, s.Log(), "received control channel command 'reload", "a second run does nothing")

	err := r.Reload(within(t, patience), "example.net", 5+1<<31)
	require.ErrorIs(t, err, ErrUndefined)
	assert.Equal(t, uint32(5), served(t, err).Served)
	status, err := r.Status(t.Context(), "example.net")
	require.NoError(t, err)
	assert.Equal(t, uint32(5), status.Serial, "named was not told to load it")
}

func TestReloadOfAFileWithAnOldTime(t *testing.T) {
	s, r := primary(t, "")
	write(t, s.Path("example.net"), small(6))
	old := time.Now().Add(-48 * time.Hour)
	require.NoError(t, os.Chtimes(s.Path("example.net"), old, old))
	err := r.Reload(within(t, patience), "example.net", 6)
	require.ErrorIs(t, err, ErrUpToDate)
	assert.Equal(t, uint32(5), served(t, err).Served)

	require.NoError(t, os.Chtimes(s.Path("example.net"), time.Time{}, time.Now()))
	assert.NoError(t, r.Reload(within(t, patience), "example.net", 6))
}

func TestReloadOfADynamicZone(t *testing.T) {
	s, r := primary(t, "allow-update { any; };")
	write(t, s.Path("example.net"), small(6))
	ctx := within(t, patience)
	require.ErrorIs(t, r.Reload(ctx, "example.net", 6), ErrDynamic)
	require.NoError(t, r.Freeze(ctx, "example.net"))
	assert.NoError(t, r.Reload(ctx, "example.net", 6), "a frozen zone may be loaded")
	assert.NoError(t, r.Thaw(ctx, "example.net"))
}

func TestReloadOfASecondary(t *testing.T) {
	p, _ := primary(t, "allow-transfer { any; };")
	secondary, r := start(t, lab.Named{Options: lab.Notify, Config: secondaryOf(p, "")})
	ctx := within(t, patience)
	require.True(t, secondary.Await("transferred serial 5"))
	assert.NoError(t, r.Reload(ctx, "example.net", 5), "served already")
	require.ErrorIs(t, r.Reload(ctx, "example.net", 6), ErrSecondary)
	status, err := r.Status(ctx, "example.net")
	require.NoError(t, err)
	assert.Equal(t, "secondary", status.Type)
	assert.True(t, status.Expires.After(status.NextRefresh))

	_, r = start(t, lab.Named{Options: lab.Notify, Config: `zone "example.net" { type secondary; primaries { 127.0.0.1 port 1; }; };`})
	assert.ErrorIs(t, r.Reload(ctx, "example.net", 6), ErrSecondary, "one that has no data yet")
}

func TestReloadOfAZoneInSeveralViews(t *testing.T) {
	s, r := start(t, lab.Named{
		Config: `
view "inside" { match-clients { 127.0.0.2; }; zone "example.net" { type primary; file "inside"; }; };
view "outside" { zone "example.net" { type primary; file "outside"; }; };
view "third" { match-clients { 127.0.0.3; }; };`,
		Files: map[string]string{"inside": small(5), "outside": small(5)},
	})
	ctx := within(t, patience)
	err := r.Reload(ctx, "example.net", 6)
	require.ErrorIs(t, err, ErrViews)
	assert.Contains(t, err.Error(), "(inside, outside)")

	write(t, s.Path("inside"), small(6))
	r.View = "inside"
	require.NoError(t, r.Reload(ctx, "example.net", 6))
	r.View = "outside"
	status, err := r.Status(ctx, "example.net")
	require.NoError(t, err)
	assert.Equal(t, uint32(5), status.Serial, "the other view has its own file")
	r.View = "nowhere"
	assert.ErrorIs(t, r.Reload(ctx, "example.net", 6), ErrUnknownView)
	r.View = "third"
	assert.ErrorIs(t, r.Reload(ctx, "example.net", 6), ErrUnknownZone)
}

func TestReloadWithInlineSigning(t *testing.T) {
	s, r := start(t, lab.Named{
		Config: `dnssec-policy quick { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; };
zone "example.net" { type primary; file "example.net"; inline-signing yes; dnssec-policy quick; };`,
		Files: map[string]string{"example.net": small(5)},
	})
	ctx := within(t, patience)
	before, err := r.Status(ctx, "example.net")
	require.NoError(t, err)
	require.True(t, before.InlineSigning)
	write(t, s.Path("example.net"), small(6))
	require.NoError(t, r.Reload(ctx, "example.net", 6))
	after, err := r.Status(ctx, "example.net")
	require.NoError(t, err)
	assert.Equal(t, uint32(6), after.Serial)
	order, ok := CompareSerial(after.SignedSerial, before.SignedSerial)
	assert.True(t, ok && order > 0, "%d, then %d", before.SignedSerial, after.SignedSerial)
	assert.Equal(t, after.SignedSerial, after.Served())
	report, err := WaitSerial(ctx, "example.net", after.Served(), addrs(s), nil)
	assert.NoError(t, err, "%s", report)
}

func TestReloadOfAnUnknownZone(t *testing.T) {
	_, r := primary(t, "")
	ctx := within(t, patience)
	require.ErrorIs(t, r.Reload(ctx, "example.org", 6), ErrUnknownZone)
	var value *ValueError
	assert.ErrorAs(t, r.Reload(ctx, "-x example.net", 6), &value)
	assert.ErrorAs(t, r.Reload(ctx, "", 6), &value)
}

func TestReloadWithoutAServer(t *testing.T) {
	s, r := primary(t, "")
	ctx := within(t, patience)
	write(t, s.Path("other.key"), "key \"rndc-key\" {\n\talgorithm hmac-sha256;\n\tsecret \"b3RoZXI=\";\n};\n")
	other := *r
	other.Key = s.Path("other.key")
	require.ErrorIs(t, other.Reload(ctx, "example.net", 6), ErrUnreachable)

	s.Stop()
	err := r.Reload(ctx, "example.net", 6)
	require.ErrorIs(t, err, ErrUnreachable)
	var command *CommandError
	require.ErrorAs(t, err, &command)
	assert.Equal(t, "rndc", command.Args[0])
	assert.Contains(t, command.Stderr, "connect failed")

	r.Command = s.Path("no-such-program")
	assert.ErrorIs(t, r.Reload(ctx, "example.net", 6), os.ErrNotExist)
}

// A reload of the whole server succeeds with a broken zone in it: that is why
// Reload names its zone.
func TestReloadOfTheWholeServerTellsNothing(t *testing.T) {
	s, r := primary(t, "")
	write(t, s.Path("example.net"), small(6, "www A 192.0.2"))
	said, err := r.command(within(t, patience), "reload")
	require.NoError(t, err)
	assert.Contains(t, said, "server reload successful")
	assert.True(t, s.Await("not loaded due to errors"))
}

// update adds a name to a dynamic zone, as DHCP servers and ACME clients do.
func update(t *testing.T, s *lab.NamedServer, name string) {
	t.Helper()
	m := new(dns.Msg).SetUpdate("example.net.")
	rr, err := dns.NewRR(name + ".example.net. 60 A 192.0.2.9")
	require.NoError(t, err)
	m.Insert([]dns.RR{rr})
	answer, _, err := (&dns.Client{Net: "tcp", Timeout: patience}).Exchange(m, s.Addr.String())
	require.NoError(t, err)
	require.Equal(t, dns.RcodeSuccess, answer.Rcode)
}

func TestParseStatus(t *testing.T) {
	for _, text := range []string{"", "serial: x\n", "serial: 5\nlast loaded: yesterday\n"} {
		_, err := parseStatus(text)
		assert.ErrorContains(t, err, "rndc zonestatus printed what it does not")
		assert.NotContains(t, err.Error(), "%!", "%q", text)
	}
	status, err := parseStatus("name: example.net\ntype: master\nserial: 5\n")
	require.NoError(t, err)
	assert.Equal(t, Status{Origin: "example.net.", Type: "primary", Serial: 5}, status)
}

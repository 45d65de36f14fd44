package natfwd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

func writeSysctl(name string) error { return os.WriteFile("/proc/sys/"+name, []byte("1"), 0o600) }

func TestBothModesHoldRules(t *testing.T) {
	onRealSystems(t, func(t *testing.T, s *system) {
		other := map[bool]string{true: "legacy", false: "nft"}[s.b4.(*IPTables).nft]
		p := s.diff(t, mail())
		// Empty tables, such as a look at them leaves, are harmless.
		require.NoError(t, exec.Command("iptables-"+other, "-t", "nat", "-L").Run())
		s.apply(t, Set{Name: "x", Masquerade: []string{"ens5"}})
		out, err := exec.Command("iptables-"+other, "-w", "-t", "nat", "-A", "PREROUTING", "-i", "ens5", "-j", "ACCEPT").CombinedOutput()
		require.NoError(t, err, string(out))
		before := rulesIn(t, s.b6)

		_, err = NewIPTables(IPv4, &IPTablesOptions{Path: s.b4.(*IPTables).path})
		assert.ErrorIs(t, err, ErrTwoBackends)
		assert.ErrorContains(t, err, "-A PREROUTING -i ens5 -j ACCEPT")
		assert.ErrorIs(t, Apply(t.Context(), p), ErrTwoBackends)
		assert.Equal(t, before, rulesIn(t, s.b6))
		_, err = Verify(t.Context(), mail(), s.b4, s.b6)
		assert.ErrorIs(t, err, ErrTwoBackends)
		_, err = NewIPTables(IPv6, &IPTablesOptions{Path: s.b6.(*IPTables).path})
		assert.NoError(t, err, "each family is by itself")
	})
}

// Rules that nft(8) made are not shown by iptables. In another table than nat they do
// not matter; in nat they may take the same packets.
func TestTablesThatNftMade(t *testing.T) {
	onRealSystems(t, func(t *testing.T, s *system) {
		lab.Need(t, "nft")
		nft := func(rules string) {
			t.Helper()
			out, err := exec.Command("nft", rules).CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		nft("table ip filter { chain c { type filter hook forward priority 0; tcp dport { 1, 2 } ct state new accept; }; }")
		s.apply(t, mail())
		assert.True(t, s.diff(t, mail()).Empty())
		s.apply(t, Set{Name: "senate"})
		nft("flush ruleset")
		nft("table ip nat { chain c { type nat hook prerouting priority -100; tcp dport { 25, 26 } dnat to 10.77.0.9; }; }")
		_, err := Diff(t.Context(), mail(), s.b4, s.b6)
		if s.b4.(*IPTables).nft {
			assert.ErrorContains(t, err, "iptables-save:1: Table `nat' contains incompatible base-chains")
			return
		}
		require.NoError(t, err)
		_, err = Verify(t.Context(), mail(), s.b4, s.b6)
		assert.ErrorIs(t, err, ErrTwoBackends)
		assert.ErrorContains(t, err, "Table `nat' contains incompatible base-chains")
	})
}

// awaitALock waits until a program waits for a lock.
func awaitALock(ctx context.Context) {
	for ctx.Err() == nil {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil || bytes.Contains(locks, []byte("-> FLOCK")) {
			return
		}
		<-time.After(time.Millisecond)
	}
}

func TestTheLockIsWaitedForAsLongAsTheContextAllows(t *testing.T) {
	lab.Need(t, "iptables-legacy")
	host := lab.NewHost(t, "lock")
	require.NoError(t, host.Do(func() error {
		s := realSystem(t, "legacy") // the other mode has no lock
		p := s.diff(t, mail())
		lock, err := os.OpenFile("/run/xtables.lock", os.O_CREATE|os.O_RDWR, 0o600)
		require.NoError(t, err)
		defer lock.Close()
		require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			awaitALock(ctx)
			cancel()
		}()
		err = Apply(ctx, p)
		assert.ErrorIs(t, err, context.Canceled)
		command, ok := errors.AsType[*CommandError](err)
		require.True(t, ok)
		assert.Contains(t, command.Args[0], "iptables-legacy-restore")

		released := make(chan error, 1)
		go func() { // when somebody else is done, it goes on
			awaitALock(t.Context())
			released <- syscall.Flock(int(lock.Fd()), syscall.LOCK_UN)
		}()
		require.NoError(t, Apply(t.Context(), s.diff(t, mail())))
		require.NoError(t, <-released)
		assert.True(t, s.diff(t, mail()).Empty())
		return nil
	}))
}

func TestASystemWithoutIPv6(t *testing.T) {
	lab.NeedIsolation(t)
	lab.Need(t, "iptables", "unshare")
	if os.Getenv("NATFWD_NO_IPV6") == "" {
		// A kernel without IPv6 has no such settings.
		again := exec.Command("unshare", "-m", "sh", "-c", `mount -t tmpfs none /proc/sys/net && exec "$@"`, "sh",
			os.Args[0], "-test.run", "^TestASystemWithoutIPv6$", "-test.v")
		again.Env = append(os.Environ(), "NATFWD_NO_IPV6=1")
		out, err := again.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "--- PASS")
		return
	}
	_, err := NewIPTables(IPv6, nil)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "this system has no IPv6")
}

func TestAProgramThatIsNotThere(t *testing.T) {
	_, err := NewIPTables(IPv4, &IPTablesOptions{Path: "/nonexistent/iptables"})
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = NewIPTables(IPv4, &IPTablesOptions{Path: "iptables-of-another-age"})
	assert.ErrorIs(t, err, exec.ErrNotFound)
}

func TestABadLineAppliesNothingAndTheErrorSaysWhich(t *testing.T) {
	onRealSystems(t, func(t *testing.T, s *system) {
		before := s.rules(t)
		err := s.b4.Load(t.Context(), []byte("*nat\n:rehost-x-pre - [0:0]\n-A rehost-x-pre -p tcp -j DNAT --to-destination nonsense\nCOMMIT\n"))
		command, ok := errors.AsType[*CommandError](err)
		require.True(t, ok)
		assert.Contains(t, command.Stderr, "line: 3")
		assert.Equal(t, before, s.rules(t))
	})
}

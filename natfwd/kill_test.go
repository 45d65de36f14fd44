package natfwd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tides are two sets of many rules, which have some in common.
func tides() [2]Set {
	ebb, flood := Set{Name: "tide"}, Set{Name: "tide", Hairpin: true, Masquerade: []string{"ens5"}}
	for i := range uint16(200) {
		ebb.Forwards = append(ebb.Forwards, Forward{Proto: TCP, Iface: "ens5", Ports: one(1000 + i), To: guest})
		flood.Forwards = append(flood.Forwards, Forward{Proto: UDP, Iface: "ens5", Ports: one(1000 + i), ToPort: 53, To: guest})
	}
	flood.Forwards = append(flood.Forwards, ebb.Forwards[:50]...)
	return [2]Set{ebb, flood}
}

// applyForEver is the process that is killed: it applies one set after the other.
func applyForEver(mode, runDir string) error {
	b4, err4 := NewIPTables(IPv4, &IPTablesOptions{Path: "iptables-" + mode, RunDir: runDir})
	b6, err6 := NewIPTables(IPv6, &IPTablesOptions{Path: "ip6tables-" + mode, RunDir: runDir})
	if err := errors.Join(err4, err6); err != nil {
		return err
	}
	fmt.Println("begun")
	for i := 0; ; i++ {
		p, err := Diff(context.Background(), tides()[i%2], b4, b6)
		if err == nil {
			err = Apply(context.Background(), p)
		}
		if err != nil {
			return err
		}
	}
}

// Whenever the applying process is killed, with its iptables-restore or without, each
// family has the old rules or the new ones, and the next Apply makes them the new
// ones. REHOST_KILLS says how often, 20 times if it does not.
func TestKilledAtAnyInstant(t *testing.T) {
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("REHOST_KILLS")); err == nil {
		kills = n
	}
	onRealSystems(t, func(t *testing.T, s *system) {
		sets := tides()
		states := map[Backend]map[string]string{}
		for _, b := range []Backend{s.b4, s.b6} {
			states[b] = map[string]string{rulesIn(t, b): "none"}
		}
		for i, name := range []string{"ebb", "flood"} {
			s.apply(t, sets[i])
			for b, known := range states {
				known[rulesIn(t, b)] = name
			}
		}
		s.apply(t, Set{Name: "tide"})
		found := map[string]int{}
		for range kills {
			run := s.b4.(*IPTables).flows
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "NATFWD_APPLY="+map[bool]string{true: "nft", false: "legacy"}[s.b4.(*IPTables).nft], "NATFWD_RUN="+run, "GORACE=atexit_sleep_ms=0")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			_, err = out.Read(make([]byte, 6))
			require.NoError(t, err)
			<-time.After(time.Duration(rand.N(int64(300 * time.Millisecond))))
			victim := cmd.Process.Pid
			if rand.N(2) == 0 {
				victim = -victim // all that it has started as well
			}
			require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
			require.Error(t, cmd.Wait())
			for { // an iptables-restore that was left alone comes to its end
				if _, err := syscall.Wait4(-cmd.Process.Pid, nil, 0, nil); err == syscall.ECHILD {
					break
				}
			}
			left := ""
			for _, b := range []Backend{s.b4, s.b6} {
				rules := rulesIn(t, b)
				state, ok := states[b][rules]
				require.True(t, ok, "a mix:\n%s", rules)
				left += state + " "
			}
			found[left]++
			if rand.N(2) == 0 {
				s.apply(t, sets[1])
				assert.Equal(t, "flood", states[s.b4][rulesIn(t, s.b4)])
				assert.Equal(t, "flood", states[s.b6][rulesIn(t, s.b6)])
				assert.True(t, s.diff(t, sets[1]).Empty())
			}
		}
		t.Logf("%d kills, rules of IPv4 and IPv6 afterwards: %v", kills, found)
		s.apply(t, Set{Name: "tide"})
		assert.Equal(t, "none", states[s.b4][rulesIn(t, s.b4)])
		assert.Equal(t, "none", states[s.b6][rulesIn(t, s.b6)])
	})
}

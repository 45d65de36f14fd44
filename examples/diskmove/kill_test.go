package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// TestKilledAtAnyInstantACopyGoesOnAndEndsRight kills diskmove again and again while
// it copies, gives the same command until it ends, and has b3sum judge. Then some of
// the source changes, or the target goes, and it begins anew. REHOST_KILLS is how
// often, 30 unless it is set.
func TestKilledAtAnyInstantACopyGoesOnAndEndsRight(t *testing.T) {
	lab.Need(t, "b3sum")
	program := filepath.Join(t.TempDir(), "diskmove")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)

	t.Run("file", func(t *testing.T) {
		t.Parallel() // most of the time, both wait
		dir := t.TempDir()
		k := newKiller(t, program, dir, filepath.Join(dir, "target.img"))
		k.run(func() {
			require.NoError(t, os.Remove(k.target))
			require.NoError(t, os.Remove(k.journal))
		})
	})
	t.Run("device", func(t *testing.T) {
		t.Parallel()
		lab.Need(t, "losetup")
		if os.Geteuid() != 0 {
			if os.Getenv("REHOST_REAL") == "require" {
				t.Fatal("loop devices need root")
			}
			t.Skip("loop devices need root")
		}
		dir := t.TempDir()
		backing := filepath.Join(dir, "backing")
		require.NoError(t, os.WriteFile(backing, make([]byte, killedSize), 0o600))
		device, err := exec.Command("losetup", "--find", "--show", backing).Output()
		require.NoError(t, err)
		k := newKiller(t, program, dir, strings.TrimSpace(string(device)))
		t.Cleanup(func() { require.NoError(t, exec.Command("losetup", "--detach", k.target).Run()) })
		k.run(func() {
			require.NoError(t, os.Remove(k.journal)) // the old content stays, as on a disk that had another use
			require.NoError(t, os.WriteFile(k.target, k.random.bytes(killedSize), 0o600))
		})
	})
}

// What is copied takes a good second, in which the journal is written about twice.
const (
	killedSize = 18 << 20
	killedRate = "16"
)

// A killer has a copy and kills it.
type killer struct {
	t                                *testing.T
	program, source, target, journal string
	image                            []byte
	last                             string // digest of the copy that ended last
	random                           random
	kills, resumed, ended            int
}

// random is where instants and bytes come from.
type random struct{ *rand.Rand }

func (r random) bytes(n int) []byte {
	p := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		v := r.Uint64()
		for k := range 8 {
			p[i+k] = byte(v >> (8 * k))
		}
	}
	return p
}

func newKiller(t *testing.T, program, dir, target string) *killer {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &killer{t: t, program: program, source: filepath.Join(dir, "source.img"), target: target, journal: filepath.Join(dir, "journal"),
		random: random{rand.New(rand.NewPCG(seed, 0))}}
	k.image = k.random.bytes(killedSize)
	clear(k.image[5<<20 : 8<<20])
	require.NoError(t, os.WriteFile(k.source, k.image, 0o600))
	return k
}

// run kills as often as it shall, and then lets the last copy end. anew takes away
// what there is at the target.
func (k *killer) run(anew func()) {
	todo, err := strconv.Atoi(os.Getenv("REHOST_KILLS"))
	if err != nil {
		todo = 30
	}
	for k.kills < todo || k.ended == 0 {
		if !k.copy(k.kills < todo) {
			continue
		}
		k.ended++
		if k.random.IntN(2) == 0 {
			anew()
			continue
		}
		for range 20 {
			off := k.random.IntN(killedSize - 100)
			copy(k.image[off:], k.random.bytes(96))
		}
		require.NoError(k.t, os.WriteFile(k.source, k.image, 0o600))
	}
	k.t.Logf("%d kills, %d runs that went on from the journal, %d copies that ended, all of them right", k.kills, k.resumed, k.ended)
}

// copy gives the command once, and says whether it ended well. It fails the test if
// what it left is not what it says.
func (k *killer) copy(kill bool) bool {
	ctx, cancel := k.t.Context(), func() {}
	if kill {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(k.random.Int64N(int64(1300*time.Millisecond))))
	}
	defer cancel()
	cmd := exec.CommandContext(ctx, k.program, "copy", "-json", "-rate", killedRate, "-journal", k.journal, k.source, k.target)
	out, err := cmd.Output()
	if strings.Contains(string(out), `"resumed":`) && !strings.Contains(string(out), `"resumed":0,`) {
		k.resumed++
	}
	if cmd.ProcessState == nil {
		return false // the time was over before it began
	}
	if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		k.kills++
		if _, err := os.Stat(k.journal); err != nil {
			return false // it was killed before there was one
		}
		if state, digest := k.status(); state == "complete" {
			// Before it began its pass, and the last one that ended still counts, or in the
			// instant between its end and that of the program.
			source, target := k.sums()
			require.Contains(k.t, []string{k.last, source}, digest)
			require.Equal(k.t, digest, target, "the copy is corrupt")
		}
		return false
	}
	require.True(k.t, cmd.ProcessState.Success(), "%v\n%s", err, out) // err may tell of time that was over after its end
	var result struct{ State, Digest string }
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.NoError(k.t, json.Unmarshal([]byte(lines[len(lines)-1]), &result))
	require.Equal(k.t, "complete", result.State)
	state, digest := k.status()
	require.Equal(k.t, "complete", state)
	require.Equal(k.t, result.Digest, digest)
	source, target := k.sums()
	require.Equal(k.t, source, target, "the copy is corrupt")
	require.Equal(k.t, source, digest)
	k.last = digest
	return true
}

func (k *killer) status() (state, digest string) {
	out, err := exec.Command(k.program, "status", "-json", k.journal).Output()
	require.NoError(k.t, err)
	var s struct{ State, Digest string }
	require.NoError(k.t, json.Unmarshal(out, &s))
	return s.State, s.Digest
}

// sums has b3sum read source and target.
func (k *killer) sums() (source, target string) {
	out, err := exec.Command("b3sum", "--no-names", k.source, k.target).Output()
	require.NoError(k.t, err)
	sums := strings.Fields(string(out))
	return sums[0], sums[1]
}

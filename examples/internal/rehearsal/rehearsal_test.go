package rehearsal

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/examples/internal/report"
)

// migrate is the program that renders moves.
var migrate string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "rehearsal-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		migrate = filepath.Join(dir, "migrate")
		if out, err := exec.Command("go", "build", "-o", migrate, "../../migrate").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
			return 1
		}
		return m.Run()
	}())
}

// sample renders the sample move, changed by pairs of replacements in the move file, and
// is ready to rehearse it.
func sample(t *testing.T, replace ...string) *rehearsal {
	t.Helper()
	const present = "../../migrate/testdata/present"
	dir := t.TempDir()
	data, err := os.ReadFile("../../migrate/senate.toml")
	require.NoError(t, err)
	text := string(data)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, text, replace[i])
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	file, out := filepath.Join(dir, "m.toml"), filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	said, err := exec.Command(migrate, "render", "-move", file, "-in", present, "-out", out).CombinedOutput()
	require.NoError(t, err, "%s", said)
	m, err := move.Load(file, []byte(text))
	require.NoError(t, err)
	work := filepath.Join(dir, "work")
	require.NoError(t, os.Mkdir(work, 0o700))
	return &rehearsal{link: time.Second, Options: Options{
		Move: m, Present: os.DirFS(present), Rendered: os.DirFS(out), Dir: work, ShortTTL: 5 * time.Minute, DiskSize: 16 << 20,
		Phases: []Phase{{"01-prepare", "Prepare"}, {"02-both-paths", "Both paths answer"}, {"03-certificates", "Certificates"},
			{"04-dns", "DNS"}, {"05-disk", "The disk"}, {"06-first-boot", "First boot at home"}, {"07-check", "Check"}},
	}}
}

// spoil replaces a text in a rendered file.
func spoil(t *testing.T, r *rehearsal, file, old, new string) {
	t.Helper()
	path := filepath.Join(filepath.Dir(r.Dir), "out", file)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, new)), 0o600))
}

// failed are the checks that did not hold, with their details.
func failed(rep *report.Report) []string {
	var list []string
	for _, p := range rep.Phases {
		for _, f := range p.Findings {
			if f.Outcome == report.Failed {
				list = append(list, f.Check+": "+f.Detail)
			}
		}
	}
	return list
}

// quiet tells whether nothing is left of a rehearsal.
func quiet(t *testing.T, r *rehearsal, goroutines int) {
	t.Helper()
	entries, err := os.ReadDir(r.Dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
	ended := func() bool { return runtime.NumGoroutine() <= goroutines+1 } // it is asked by one of its own
	assert.Eventually(t, ended, 10*time.Second, 10*time.Millisecond, "goroutines are left")
}

func TestRehearsal(t *testing.T) {
	r := sample(t)
	before := runtime.NumGoroutine()
	var titles []string
	last := 0.0
	r.Progress = func(title string, part float64) {
		if len(titles) == 0 || titles[len(titles)-1] != title {
			titles, last = append(titles, title), 0
		}
		assert.True(t, last <= part && part <= 1, "%s: %v after %v", title, part, last)
		last = part
	}
	r.least = 500 * time.Millisecond
	rep, err := r.run(t.Context(), r.bars())
	require.NoError(t, err)
	quiet(t, r, before)

	assert.Empty(t, failed(rep))
	assert.Equal(t, []string{"Prepare", "Both paths answer", "Certificates", "DNS", "The disk, live", "The final pass", "First boot at home", "Check"}, titles)
	services := map[string]bool{}
	for _, p := range rep.Probes {
		services[p.Service+" by "+p.Path] = true
		if title := rep.Phases[p.Phase].Title; title != "The final pass" && title != "First boot at home" {
			assert.Zero(t, p.Failed, "%s by %s in %s", p.Service, p.Path, title)
			assert.NotZero(t, p.Asked)
		}
	}
	assert.Len(t, services, 7, "%v", services)
	assert.EqualValues(t, 16<<20, rep.Disk.Size)
	assert.NotZero(t, rep.Disk.Resumed)
	assert.NotZero(t, rep.Disk.Final)
	assert.Less(t, rep.Disk.Final, rep.Disk.Live)
	assert.Len(t, rep.Disk.Digest, 64)
	assert.Equal(t, "tcp+udp 53", rep.Network.Services[0].Port)
}

// TestOtherMoves have less than the sample.
func TestOtherMoves(t *testing.T) {
	for name, replace := range map[string][]string{
		"no IPv6":                  {`, "2001:db8:189c:700:b4d2::1/80"`, "", `, "2001:db8:189c:700:b4d2::4/80"`, "", "prefix6 = ", "#prefix6 = "},
		"no proxy, another domain": {"via = \"proxy\"\nnames = [\"example.net\", \"www.example.net\"]", `via = "forward"`, `domain = "example.net"`, `domain = "example.com"`},
		"one certificate": {"\n[[certificate]]\nname = \"example.org\"\n", "",
			`domains = ["senate.example.net", "example.net", "www.example.net", "ingress.example.net"]`, `domains = ["example.net", "www.example.net"]`},
		"certificates for one domain":    {`name = "example.org"`, "name = \"example.org\"\ndomains = [\"example.net\", \"www.example.net\"]"},
		"the guest has no key yet":       {`public_key = "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw="`, ""},
		"forwards in both families":      {"prefix6 = \"2001:db8:189c:700:b4d2::/80\"\n", "", "2001:db8:189c:700:b4d2::", "fd00:b4d2::"},
		"the router reaches them itself": {"solver = ", "hairpin = true\nlocal = true\nsolver = "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sample(t, replace...)
			rep, err := r.run(t.Context(), r.bars())
			require.NoError(t, err)
			assert.Empty(t, failed(rep))
		})
	}
}

// TestCancelled ends a rehearsal in each of its phases.
func TestCancelled(t *testing.T) {
	for _, title := range []string{"Prepare", "Both paths answer", "Certificates", "DNS", "The disk, live", "The final pass", "First boot at home", "Check"} {
		r := sample(t)
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithCancel(t.Context())
		r.Progress = func(now string, part float64) {
			if now == title {
				cancel()
			}
		}
		rep, err := r.run(ctx, r.bars())
		assert.ErrorIs(t, err, context.Canceled, title)
		assert.Equal(t, title, rep.Phases[len(rep.Phases)-1].Title)
		assert.Empty(t, failed(rep), title)
		quiet(t, r, before)
	}
}

func containsBoth(s, a, b string) bool { return strings.Contains(s, a) && strings.Contains(s, b) }

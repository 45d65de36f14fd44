package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/examples/internal/report"
	"github.com/rehost/rehost/wgpeer"
)

// checked is what migrate check finds on a copy of the sample, and its exit status.
func checked(t *testing.T, dir string, args ...string) (found []report.Finding, code int) {
	t.Helper()
	code, stdout, stderr := migrateCheck(t, dir, append([]string{"-json"}, args...)...)
	var phases []struct{ Findings []report.Finding }
	require.NoError(t, json.Unmarshal([]byte(stdout), &phases), "%s%s", stdout, stderr)
	for _, p := range phases {
		found = append(found, p.Findings...)
	}
	return found, code
}

// finding is the one whose check has the words.
func finding(t *testing.T, found []report.Finding, words string) report.Finding {
	t.Helper()
	for _, f := range found {
		if strings.Contains(f.Check, words) {
			return f
		}
	}
	require.Fail(t, "no such check", "%q in %v", words, found)
	return report.Finding{}
}

func renderedDir(t *testing.T) string {
	t.Helper()
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	return dir
}

// stationAt is a machine below the copy's root.
func stationAt(t *testing.T, dir, host string) *station {
	t.Helper()
	m, p, err := load(options{move: filepath.Join(dir, "m.toml"), in: filepath.Join(dir, "in")})
	require.NoError(t, err)
	return &station{m: m, p: p, host: host, root: filepath.Join(dir, "root"), out: filepath.Join(dir, "out"), now: time.Now()}
}

// TestFilesAsRenderedHold has the machines as each phase leaves them: whatever is
// installed later, the checks of files hold for all phases before.
func TestFilesAsRenderedHold(t *testing.T) {
	phases := []string{"", "01-prepare", "02-both-paths", "03-certificates", "04-dns", "05-disk", "06-first-boot"}
	for _, host := range []string{"senate", "ingress", "garage"} {
		for last := 1; last < len(phases); last++ {
			dir := renderedDir(t)
			installPhases(t, dir, host, phases[last])
			st := stationAt(t, dir, host)
			held := 0
			for i, ph := range st.p.Phases[:last] {
				for k, s := range ph.Steps {
					for _, c := range append(st.installed(i+1, k), s.Check...) {
						if c.On != host || !strings.Contains(c.Text, "as they were rendered") && !strings.HasPrefix(c.Text, "Nothing in /etc") && !strings.HasPrefix(c.Text, "No A record") {
							continue
						}
						f := st.find(t.Context(), c)
						assert.Equal(t, report.Held, f.Outcome, "%s after phase %d: %d.%d: %s: %s", host, last, i+1, k+1, f.Check, f.Detail)
						held++
					}
				}
			}
			assert.True(t, held > 0 || host == "garage")
		}
	}
}

// TestTheWayBackIsChecked looks at a router before phase 2, in it, and as it was again.
func TestTheWayBackIsChecked(t *testing.T) {
	dir := renderedDir(t)
	root := filepath.Join(dir, "root")
	back := func() report.Finding {
		found, _ := checked(t, dir, "-on", "ingress", "-root", root, "-back", "2")
		return finding(t, found, "on ingress as they were before")
	}
	installPhases(t, dir, "ingress", "01-prepare")
	assert.Equal(t, report.Held, back().Outcome, back().Detail)
	installPhases(t, dir, "ingress", "02-both-paths")
	f := back()
	assert.Equal(t, report.Failed, f.Outcome)
	assert.Contains(t, f.Detail, root+"/etc/network/if-pre-up.d/rehost-senate: it is still there, and was not before: remove it")

	dir = renderedDir(t)
	root = filepath.Join(dir, "root")
	installPhases(t, dir, "senate", "02-both-paths")
	found, code := checked(t, dir, "-on", "senate", "-root", root, "-back", "2")
	assert.Equal(t, 3, code)
	assert.Contains(t, finding(t, found, "on senate as they were before").Detail, root+`/etc/rc.conf:39: `)
}

// TestFaultsInFiles makes one fault at a time on a machine that has its files.
func TestFaultsInFiles(t *testing.T) {
	chmod := func(file string, mode fs.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.Chmod(filepath.Join(dir, file), mode)) }
	}
	remove := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, file))) }
	}
	nothing := func(*testing.T, string) {}
	tests := []struct {
		name, host, last, phase string
		spoil                   func(t *testing.T, dir string)
		check                   string
		outcome                 report.Outcome
		detail                  string
	}{
		{"a script that cannot be run", "ingress", "02-both-paths", "2.3", chmod("root/etc/network/if-pre-up.d/rehost-senate", 0o644),
			"as they were rendered", report.Failed, "its mode is 0644: chmod 0755"},
		{"a link that is missing", "ingress", "02-both-paths", "2.3", remove("root/etc/network/if-post-down.d/rehost-senate"),
			"as they were rendered", report.Failed, "make it a link to ../if-pre-up.d/rehost-senate"},
		{"a secret is not shown", "ingress", "01-prepare", "1.11", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "root/etc/wireguard/wg0.conf")
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append([]byte("PrivateKey = hush\n"), data...), 0o600))
		}, "as they were rendered", report.Failed, "wg0.conf:1: it is not as it was rendered from here on"},
		{"a line that is another", "senate", "02-both-paths", "2.1", replace("root/etc/rc.conf", "\npf=YES", "\npf=NO"),
			"as they were rendered", report.Failed, `rc.conf:39: it says "pf=NO", and was rendered as "pf=YES"`},
		{"a zone that was edited since", "senate", "04-dns", "4.3", replace("root/etc/namedb/example.net", "2026112103 ; serial", "2026112104 ; SPF, by hand"),
			"as they were rendered", report.Held, ""},
		{"an address that was forgotten", "senate", "04-dns", "4.3", replace("root/etc/namedb/example.net", "www\t\tIN A\t203.0.113.63", "www\t\tIN A\t198.51.100.25"),
			"No A record", report.Failed, "example.net:19: www.example.net. A still has 198.51.100.25: change it, raise the serial and reload"},
		{"a text that still names it", "senate", "06-first-boot", "7.6", nothing,
			"texts included", report.Failed, "example.net:13: example.net. TXT still has 198.51.100.25"},
		{"a key that is none", "senate", "01-prepare", "1.10", add("root/etc/wg/wg0.key", "x"), "The last line is", report.Failed, "a key is 44 characters of base64"},
		{"the provider's disk in fstab", "senate", "04-dns", "5.1", add("root/etc/fstab", "# disks\n/dev/\n  /dev/xbd0a / ffs rw 1 1\n"),
			"ld0", report.Failed, "fstab:3: there is no /dev/xbd0a at home: write ld0"},
		{"the disk at home in fstab", "senate", "04-dns", "5.1", add("root/etc/fstab", "/dev/ld0a / ffs rw 1 1\nNAME=mail /mail ffs rw 1 2\n"), "ld0", report.Held, ""},
		{"a default route that is still there", "senate", "05-disk", "6.2", nothing, "/etc/mygate", report.Failed, `defaultroute is "198.51.100.1", a default route past the tunnel`},
		{"no queue to look at", "senate", "06-first-boot", "7.5", nothing, "mailq", report.NotTried, "look at mailq"},
		{"a queue that is short", "senate", "06-first-boot", "7.5", func(t *testing.T, dir string) {
			for _, queue := range []string{"incoming", "active", "deferred"} {
				add(filepath.Join("root/var/spool/postfix", queue, "A1"), "")(t, dir)
			}
		}, "mailq", report.Held, "3 mails wait"},
		{"no copy of the disk", "garage", "05-disk", "5.7", nothing, "It says complete", report.Failed, "no pass was begun"},
		{"the machine itself", "ingress", "06-first-boot", "7.1", nothing, "handshake", report.NotTried, "the machine itself has to be asked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := renderedDir(t)
			installPhases(t, dir, tt.host, tt.last)
			tt.spoil(t, dir)
			found, code := checked(t, dir, "-on", tt.host, "-root", filepath.Join(dir, "root"), tt.phase)
			f := finding(t, found, tt.check)
			assert.Equal(t, tt.outcome, f.Outcome, f.Detail)
			assert.Contains(t, f.Detail, tt.detail)
			assert.NotContains(t, f.Detail, "hush")
			if tt.outcome == report.Failed {
				assert.Equal(t, 3, code)
			}
		})
	}
}

// TestTheRulesOfPFAreOn has a pfctl that says what pf's would.
func TestTheRulesOfPFAreOn(t *testing.T) {
	dir := renderedDir(t)
	both := "pass in on wg0 reply-to (wg0 172.16.1.1) inet all\npass in on wg0 reply-to (wg0 2001:db8:189c:700:b4d2::1) inet6 all"
	for _, tt := range []struct {
		status, rules string
		outcome       report.Outcome
		detail        string
	}{
		{"Status: Enabled for 0 days 00:01:00", both, report.Held, ""},
		{"Status: Disabled", both, report.Failed, "pf has rules, and is off"},
		{"Status: Enabled for 0 days 00:01:00", strings.ReplaceAll(both, "(wg0 2", "(vioif0 2"), report.Failed, "no rule with reply-to (wg0 2001:db8:189c:700:b4d2::1): pfctl -f"},
		{"Status: Enabled for 0 days 00:01:00", "", report.Failed, "no rule with reply-to (wg0 172.16.1.1)"},
	} {
		bin := t.TempDir()
		script := "#!/bin/sh\ncase $* in '-s info') echo '" + tt.status + "';; -sr) echo '" + tt.rules + "';; esac\n"
		require.NoError(t, os.WriteFile(filepath.Join(bin, "pfctl"), []byte(script), 0o700))
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		found, _ := checked(t, dir, "-on", "senate", "2.1")
		f := finding(t, found, "reply-to")
		assert.Equal(t, tt.outcome, f.Outcome, f.Detail)
		assert.Contains(t, f.Detail, tt.detail)
	}
}

func TestTheGuestsKeyIsThatOfTheMoveFile(t *testing.T) {
	dir := renderedDir(t)
	key, err := wgpeer.NewPrivateKey()
	require.NoError(t, err)
	file := filepath.Join(dir, "root/etc/wg/wg0.key")
	add("root/etc/wg/wg0.key", key.Reveal()+"\n")(t, dir)
	look := func() report.Finding {
		found, _ := checked(t, dir, "-on", "senate", "-root", filepath.Join(dir, "root"), "1.10")
		return finding(t, found, "The last line is")
	}
	assert.Contains(t, look().Detail, "its public half is "+key.Public().String())
	replace("m.toml", "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw=", key.Public().String())(t, dir)
	assert.Equal(t, report.Held, look().Outcome)
	require.NoError(t, os.Chmod(file, 0o640))
	assert.Contains(t, look().Detail, "its mode is 0640, and others can read the key")
	assert.NotContains(t, look().Detail, key.Reveal())
}

// TestTheJournalTellsOfTheDisk copies a disk: a live pass leaves it dirty, the final one
// complete.
func TestTheJournalTellsOfTheDisk(t *testing.T) {
	dir := renderedDir(t)
	image := filepath.Join(dir, "root/vm/senate/disk0.img")
	add("disk", strings.Repeat("disk", 1<<16))(t, dir)
	require.NoError(t, os.MkdirAll(filepath.Dir(image), 0o700))
	source, err := blockcopy.OpenSource(filepath.Join(dir, "disk"))
	require.NoError(t, err)
	defer source.Close()
	target, err := blockcopy.OpenTarget(image, source.Size())
	require.NoError(t, err)
	defer target.Close()
	after := func(pass blockcopy.Pass) (live, final report.Finding) {
		_, err := blockcopy.Copy(t.Context(), target, source, &blockcopy.Options{Pass: pass, Journal: image + ".journal"})
		require.NoError(t, err)
		found, _ := checked(t, dir, "-on", "garage", "-root", filepath.Join(dir, "root"), "5")
		return finding(t, found, "journal` says dirty"), finding(t, found, "It says complete")
	}
	live, final := after(blockcopy.Live)
	assert.Equal(t, report.Held, live.Outcome, live.Detail)
	assert.Equal(t, report.Failed, final.Outcome)
	assert.Contains(t, final.Detail, "stop the guest and run the final pass")
	live, final = after(blockcopy.Final)
	assert.Equal(t, report.Held, live.Outcome, live.Detail)
	assert.Equal(t, report.Held, final.Outcome, final.Detail)
	assert.Contains(t, final.Detail, "complete, ")
}

// TestCheckExitStatus calls it as scripts do.
func TestCheckExitStatus(t *testing.T) {
	dir := renderedDir(t)
	tests := []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"-h", 0, "Exit status: 0 something was tried", ""},
		{"two", 2, "", `"two" is no phase such as 2`},
		{"4.0", 2, "", `"4.0" is no phase`},
		{"2 3", 2, "", `unexpected argument "3"`},
		{"2 -on elsewhere", 2, "", "-on stands after 2: flags come first"},
		{"-back", 2, "", "-back needs a phase"},
		{"-back 4.2", 2, "", "-back needs a phase"},
		{"8", 1, "", "the runbook has no phase or step 8"},
		{"4.9", 1, "", "the runbook has no phase or step 4.9"},
		{"-on senat 2", 1, "", `-on "senat": the move knows senate, ingress, garage, starkiller, elsewhere`},
		{"-on elsewhere 1", 3, "Phase 1: nothing could be tried here.\n2 checks are to be made by hand.\n4 checks want ingress: run \"migrate check 1\" there.\n", ""},
		{"-on garage -root " + dir + " 6", 3, "Phase 6 must not go on: 3 checks have failed, and 0 held.\n3 checks are to be made by hand.\n3 checks want senate: run \"migrate check 6\" there.\n", ""},
		{"-on garage -root " + dir + " 5", 3, "Phase 5 must not go on: 2 checks have failed, and 0 held.\n9 checks are to be made by hand.\n2 checks want senate", ""},
	}
	for _, tt := range tests {
		code, stdout, stderr := migrateCheck(t, dir, strings.Fields(tt.args)...)
		assert.Equal(t, tt.code, code, tt.args)
		assert.Contains(t, stdout, tt.stdout, tt.args)
		assert.Contains(t, stderr, tt.stderr, tt.args)
	}
	installPhases(t, dir, "garage", "06-first-boot")
	code, stdout, _ := migrateCheck(t, dir, "-on", "garage", "-root", filepath.Join(dir, "root"), "6")
	assert.Equal(t, 0, code, stdout)
	assert.Contains(t, stdout, "Phase 6 may go on, as far as can be seen from here: 3 checks hold.")
}

// TestWhatWasNotTriedIsCounted looks at a machine where a check lacks its program.
func TestWhatWasNotTriedIsCounted(t *testing.T) {
	dir := renderedDir(t)
	installPhases(t, dir, "senate", "06-first-boot")
	code, stdout, _ := migrateCheck(t, dir, "-on", "senate", "-root", filepath.Join(dir, "root"), "2")
	assert.Equal(t, 0, code, stdout)
	assert.Contains(t, stdout, "2 checks hold.\n1 check was not tried, for the reasons above.\n1 check is to be made by hand.\n")
}

// TestWhatStrangersSaySteersNoTerminal has an answer with an escape.
func TestWhatStrangersSaySteersNoTerminal(t *testing.T) {
	f := (&station{root: "/"}).find(t.Context(), check{Try: func(context.Context, *station) (string, error) {
		return "", errors.New("\x1b[2Jall \u202eis\nwell")
	}})
	assert.Equal(t, "\ufffd[2Jall \ufffdis\nwell", f.Detail)
}

// TestAGuestByAnotherNameIsKnownByItsAddress is for hostnames that are not the move's.
func TestAGuestByAnotherNameIsKnownByItsAddress(t *testing.T) {
	m := stationAt(t, renderedDir(t), elsewhere).m
	look := func() string {
		host, err := whereWeAre(m, "")
		require.NoError(t, err)
		return host
	}
	assert.Equal(t, elsewhere, look())
	t.Run("guest", func(t *testing.T) { haveAddress(t, m.Guest.Old.Address); assert.Equal(t, "senate", look()) })
	t.Run("router", func(t *testing.T) { haveAddress(t, tunnelRouter); assert.Equal(t, "ingress", look()) })
}

// TestWithoutAPhaseTheFirstThatFailsIsTheLast stands on a guest that has the files of two
// phases.
func TestWithoutAPhaseTheFirstThatFailsIsTheLast(t *testing.T) {
	dir := renderedDir(t)
	installPhases(t, dir, "senate", "02-both-paths")
	replace("m.toml", `public_key = "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw="`, "")(t, dir)
	code, stdout, _ := migrateCheck(t, dir, "-on", "senate", "-root", filepath.Join(dir, "root"))
	assert.Equal(t, 3, code)
	assert.Contains(t, stdout, "Phase 1 must not go on", "there is no key")
	assert.NotContains(t, stdout, "Phase 2")
}

// TestWhoInterruptsWaitsForNoAnswer gives up before the first one.
func TestWhoInterruptsWaitsForNoAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 1, run(ctx, []string{"check", "-on", elsewhere, "2"}, &stdout, &stderr))
	assert.Empty(t, stdout.String())
	assert.Equal(t, "migrate: interrupted\n", stderr.String())
}

// TestAMuteAnswerIsAFailure has a check end after the patience that it has.
func TestAMuteAnswerIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &station{root: "/"}
		started := time.Now()
		f := st.find(t.Context(), check{Patience: time.Minute, Try: func(ctx context.Context, _ *station) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}})
		assert.Equal(t, report.Failed, f.Outcome)
		assert.Equal(t, time.Minute, time.Since(started))
	})
}

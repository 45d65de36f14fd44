package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/bhyve"
	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/netbsdcfg"
)

func TestMain(m *testing.M) {
	lab.Isolate()
	testscript.Main(m, map[string]func(){"migrate": main})
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", UpdateScripts: os.Getenv("UPDATE") != ""})
}

// sampleDir is a copy of the sample for a test to spoil: the move file m.toml,
// and the present files in folder in.
func sampleDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "m.toml"), sampleMove, 0o600))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "in"), os.DirFS("testdata/present")))
	return dir
}

// migrate renders a copy of the sample.
func migrate(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	args = append([]string{"render", "-move", filepath.Join(dir, "m.toml"), "-in", filepath.Join(dir, "in"), "-out", filepath.Join(dir, "out")}, args...)
	code = run(t.Context(), args, &out, &errOut)
	return code, out.String(), errOut.String()
}

func TestExitStatus(t *testing.T) {
	dir := sampleDir(t)
	code, _, _ := migrate(t, dir, "-n")
	assert.Equal(t, 3, code, "it would write")
	assert.NoFileExists(t, filepath.Join(dir, "out"))
	code, _, stderr := migrate(t, dir)
	assert.Equal(t, 0, code, stderr)
	code, stdout, _ := migrate(t, dir, "-n")
	assert.Equal(t, 0, code, "nothing to write")
	assert.Empty(t, stdout)
	code, _, stderr = migrate(t, dir, "extra")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, `unexpected argument "extra"`)
	code, _, stderr = migrate(t, dir, "-x")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "migrate render -h tells more")
	code, _, stderr = migrate(t, dir, "-in", "")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "-move needs -in")
	code, _, stderr = migrate(t, dir, "-out", "")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "-out names no folder")
	code, _, stderr = migrate(t, dir, "-move", filepath.Join(dir, "none"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "no such file")
	code, _, stderr = migrate(t, dir, "-in", filepath.Join(dir, "none"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "none")
	code, _, stderr = migrate(t, dir, "-out", filepath.Join(dir, "m.toml"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "m.toml: not a directory")
}

func TestRunningTwiceTouchesNoFile(t *testing.T) {
	dir := sampleDir(t)
	inodes := func() map[string]fs.FileInfo {
		files := map[string]fs.FileInfo{}
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, "out"), func(path string, d fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := d.Info()
			files[path] = info
			return err
		}))
		return files
	}
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	first := inodes()
	assert.Greater(t, len(first), 20)
	code, _, _ = migrate(t, dir)
	require.Equal(t, 0, code)
	second := inodes()
	assert.Len(t, second, len(first))
	for path, info := range first {
		assert.True(t, os.SameFile(info, second[path]), path)
	}
}

func TestWarningsDoNotStopButAreShown(t *testing.T) {
	dir := sampleDir(t)
	rc := filepath.Join(dir, "in/senate/etc/rc.conf")
	data, err := os.ReadFile(rc)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(rc, bytes.Replace(data, []byte("npf=NO"), []byte("npf=YES"), 1), 0o600))
	code, stdout, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	const warning = "02-both-paths/senate/etc/rc.conf:39:1: warning: pf and npf are on together"
	assert.Contains(t, stdout, warning)
	runbook, err := os.ReadFile(filepath.Join(dir, "out/RUNBOOK.md"))
	require.NoError(t, err)
	assert.Contains(t, string(runbook), "- "+warning)

	code, stdout, stderr = migrate(t, dir, "-n")
	assert.Equal(t, 0, code, "all of it is there")
	assert.Contains(t, stderr, warning)
	assert.Empty(t, stdout)
}

// TestAFirewallThatIsOnIsNotTurnedOff has rules of its own, which the way out of a lockout
// brings back.
func TestAFirewallThatIsOnIsNotTurnedOff(t *testing.T) {
	for on, line := range map[bool]string{
		false: "nohup sh -c 'sleep 300; pfctl -d' ",
		true:  "nohup sh -c 'sleep 300; pfctl -f /root/before/2/pf.conf' ",
	} {
		dir := sampleDir(t)
		if on {
			replace("in/senate/etc/rc.conf", "#pf=YES", "pf=YES ")(t, dir)
		}
		code, _, stderr := migrate(t, dir)
		require.Equal(t, 0, code, stderr)
		runbook, err := os.ReadFile(filepath.Join(dir, "out/RUNBOOK.md"))
		require.NoError(t, err)
		assert.Contains(t, string(runbook), line)
		assert.Equal(t, !on, strings.Contains(string(runbook), "/etc/rc.d/pf stop"))
	}
}

// TestWhatNobodyAsksForIsPassedOver gives more than is needed, as a copy of a
// whole /etc and of a guest's folder does.
func TestWhatNobodyAsksForIsPassedOver(t *testing.T) {
	dir := sampleDir(t)
	in := filepath.Join(dir, "in")
	require.NoError(t, os.MkdirAll(filepath.Join(in, "ingress/etc/nginx/sites-enabled"), 0o700))
	require.NoError(t, os.Symlink("/etc/nginx/sites-available/default", filepath.Join(in, "ingress/etc/nginx/sites-enabled/default")))
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(in, "senate/etc/localtime")))
	require.NoError(t, os.Symlink(dir, filepath.Join(in, "senate/etc/skel")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(in, "senate/etc/pipe"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(in, "garage/vm/senate/vm-bhyve.log"), []byte("Nov 20: initialising\n"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(in, ".git/refs"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(in, ".git/HEAD"), []byte("x"), 0o600))
	code, stdout, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	assert.NotContains(t, stdout, "vm-bhyve.log")
}

// TestRunbookFollowsTheMove renders moves that are not the sample's.
func TestRunbookFollowsTheMove(t *testing.T) {
	tests := []struct {
		name        string
		replace     []string
		has, hasNot []string
	}{
		{"the guest has no key yet", []string{`public_key = "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw="`, ""},
			[]string{"Put the guest's public key into the move file", "and everything is rendered again"}, []string{"wg set wg0 peer"}},
		{"IPv6 stands first", []string{`"172.16.1.4/24", "2001:db8:189c:700:b4d2::4/80"`, `"2001:db8:189c:700:b4d2::4/80", "172.16.1.4/24"`},
			[]string{"ifconfig wg0 create\n    ifconfig wg0 inet 172.16.1.4/24\n"}, nil},
		{"IPv4 only", []string{`, "2001:db8:189c:700:b4d2::1/80"`, "", `, "2001:db8:189c:700:b4d2::4/80"`, "", `prefix6 = "2001:db8:189c:700:b4d2::/80"`, ""},
			nil, []string{"ping6", "2001:", "inet6", "in both families", "has both families"}},
		{"a service with udp first", []string{`["tcp", "udp"]`, `["udp", "tcp"]`},
			[]string{"`dig +tcp +short soa example.net @203.0.113.63`", "`dig +short soa example.net @203.0.113.63`", "dig +tcp +short soa example.net @203.0.113.63 # dns\n"}, nil},
		{"a service with udp only", []string{"[\"tcp\", \"udp\"]\nport = 53", "[\"udp\"]\nport = 123"},
			[]string{"udp port 123 of 203.0.113.63 answers a client of its own"}, []string{"nc -vz -w 5 203.0.113.63 123"}},
		{"no proxy, no forward", []string{`via = "proxy"`, `via = "tunnel"`, `via = "forward"`, `via = "tunnel"`},
			[]string{"03-certificates/ingress/etc/nginx/snippets/certsync.conf", "    tcp 80 (nginx)\n", "take the line of step 3.2 out of nginx's default server"}, []string{"nginx/conf.d", "nginx files of phase 2", " 203.0.113.63 25", "The same with", "nginx was told"}},
		{"the guest's own web server", []string{`via = "proxy"`, `via = "forward"`, `names = ["example.net", "www.example.net"]`, ""},
			[]string{"    tcp 80 (web)\n"}, []string{"(nginx)"}},
		{"a daemon that nobody knows here", []string{`name = "dovecot"`, `name = "courier"`},
			[]string{"Add to the configuration of courier:"}, []string{"10-ssl.conf"}},
		{"no upgrade", []string{`from = "9.0"`, `from = "10.1"`}, []string{"### 1.2 The guest's key"}, []string{"sysupgrade"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := sampleDir(t)
			text := string(sampleMove)
			for i := 0; i < len(tt.replace); i += 2 {
				require.Contains(t, text, tt.replace[i])
				text = strings.ReplaceAll(text, tt.replace[i], tt.replace[i+1])
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "m.toml"), []byte(text), 0o600))
			code, _, stderr := migrate(t, dir)
			require.Equal(t, 0, code, stderr)
			runbook, err := os.ReadFile(filepath.Join(dir, "out/RUNBOOK.md"))
			require.NoError(t, err)
			for _, want := range tt.has {
				assert.Contains(t, string(runbook), want)
			}
			for _, not := range tt.hasNot {
				assert.NotContains(t, string(runbook), not)
			}
		})
	}
}

func TestMissingFilesAreStartedAfresh(t *testing.T) {
	dir := sampleDir(t)
	for _, path := range []string{"garage", "ingress", "senate/etc/modules.conf", "senate/etc/pf.conf", "senate/etc/sysctl.conf"} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "in", path)))
	}
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	f, err := bhyve.Open(filepath.Join(dir, "out/06-first-boot/garage/vm/senate/senate.conf"))
	require.NoError(t, err)
	assert.Empty(t, f.Check())
	g, err := f.Guest()
	require.NoError(t, err)
	assert.Equal(t, []string{"knetbsd -h -r ld0a /netbsd"}, g.GrubRun)
	assert.Equal(t, "6f3f2f5e-52a5-4a8e-9d1b-0c6f5b1e7a04", g.UUID)
	assert.NoDirExists(t, filepath.Join(dir, "out/diffs/06-first-boot/garage-single-user"))
}

// TestTheTunnelRunsTheCommandsOfTheCase reads the rendered files as rc.d/network
// does, before and after the move.
func TestTheTunnelRunsTheCommandsOfTheCase(t *testing.T) {
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	commands := func(phase string) (lines []string) {
		f, err := netbsdcfg.OpenIfconfig(filepath.Join(dir, "out", phase, "senate/etc/ifconfig.wg0"))
		require.NoError(t, err)
		require.Empty(t, f.Check())
		for _, c := range f.Commands("wg0") {
			require.Empty(t, c.Shell)
			lines = append(lines, strings.Join(c.Argv, " "))
		}
		return lines
	}
	const (
		address  = "ifconfig wg0 inet 172.16.1.4/24"
		address6 = "ifconfig wg0 inet6 2001:db8:189c:700:b4d2::4/80 alias"
		key      = "wgconfig wg0 set private-key /etc/wg/wg0.key"
		peer     = "wgconfig wg0 add peer ingress dMlWBAQ0J/C+4dDha/pTr9U39zatAHPEzE4cyzqCtdw= --endpoint=203.0.113.63:51820 --allowed-ips=0.0.0.0/0,::/0"
		up       = "ifconfig wg0 up"
	)
	assert.Equal(t, []string{address, key, peer, up}, commands("01-prepare"))
	assert.Equal(t, []string{address, address6, key, peer, up}, commands("02-both-paths"))
	assert.Equal(t, []string{address, address6, key, peer,
		"route add -host 203.0.113.63 192.168.14.254", up,
		"route add default 172.16.1.1",
		"route add -inet6 default 2001:db8:189c:700:b4d2::1",
	}, commands("06-first-boot"))
}

// changedLines returns the lines that a diff removes and adds.
func changedLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "+++") && (line[0] == '-' || line[0] == '+') {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func TestRCConfDiffersOnlyInTheLinesNamed(t *testing.T) {
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, []string{"+pf=YES"}, changedLines(t, filepath.Join(dir, "out/diffs/02-both-paths/senate/etc/rc.conf.diff")))
	assert.Equal(t, []string{"+certsyncd=YES"}, changedLines(t, filepath.Join(dir, "out/diffs/03-certificates/senate/etc/rc.conf.diff")))
	line := "defaultroute=\"198.51.100.1\"\t# the provider's; ask before changing -- jw"
	assert.Equal(t, []string{"-" + line, "+#" + line, "-pf=YES", "+pf=NO"},
		changedLines(t, filepath.Join(dir, "out/diffs/06-first-boot/senate/etc/rc.conf.diff")))
}

func TestWhatTheMoveFileDoesNotKnowOfTheGuestStays(t *testing.T) {
	dir := sampleDir(t)
	conf := filepath.Join(dir, "in/garage/vm/senate/senate.conf")
	data, err := os.ReadFile(conf)
	require.NoError(t, err)
	own := "disk1_type=\"virtio-blk\"\ndisk1_name=\"mail.img\"\n" +
		"network1_type=\"e1000\"\nnetwork1_switch=\"lan\"\npassthru0=\"6/0/0\"\n"
	text := strings.ReplaceAll(string(data), "ld0a", "dk3") + own
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	diffs := filepath.Join(dir, "out/diffs/06-first-boot")
	assert.ElementsMatch(t, []string{
		`-memory="1024M"   # more when it runs`, `+memory="2048M"   # more when it runs`, `+network0_mac="02:00:5e:00:53:04"`,
		`-grub_run0="knetbsd -h -r dk3 /netbsd"`, `+grub_run0="knetbsd -h -s -r dk3 /netbsd"`,
	}, changedLines(t, filepath.Join(diffs, "garage-single-user/vm/senate/senate.conf.diff")))
	assert.Equal(t, []string{
		`-grub_run0="knetbsd -h -s -r dk3 /netbsd"`, `+grub_run0="knetbsd -h -r dk3 /netbsd"`,
	}, changedLines(t, filepath.Join(diffs, "garage/vm/senate/senate.conf.diff")))
}

func TestBothDefaultRoutesOfTheProviderGo(t *testing.T) {
	dir := sampleDir(t)
	rc := filepath.Join(dir, "in/senate/etc/rc.conf")
	data, err := os.ReadFile(rc)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(rc, append(data, "defaultroute6=2001:db8:9::1\n"...), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in/senate/etc/ifconfig.vioif0"), []byte("inet 198.51.100.25/24\ninet6 2001:db8:9::25/64 alias\n"), 0o600))
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, changedLines(t, filepath.Join(dir, "out/diffs/06-first-boot/senate/etc/rc.conf.diff")), "+#defaultroute6=2001:db8:9::1")
}

func TestSingleUserAndBackIsTheSameFile(t *testing.T) {
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	single, err := bhyve.Open(filepath.Join(dir, "out/06-first-boot/garage-single-user/vm/senate/senate.conf"))
	require.NoError(t, err)
	assert.True(t, single.SingleUser())
	require.NoError(t, single.SetSingleUser(false))
	final, err := os.ReadFile(filepath.Join(dir, "out/06-first-boot/garage/vm/senate/senate.conf"))
	require.NoError(t, err)
	assert.Equal(t, string(final), string(single.Bytes()))
}

// TestDiffsApply gives the diffs to patch(1), which must make today's files into
// those of the last phase.
func TestDiffsApply(t *testing.T) {
	program := lookPath(t, "patch")
	dir := sampleDir(t)
	code, _, stderr := migrate(t, dir)
	require.Equal(t, 0, code, stderr)
	files := map[string][]string{ // the folders of each, in the order of the phases and steps
		"senate/etc/rc.conf":            {"02-both-paths/senate", "03-certificates/senate", "06-first-boot/senate"},
		"senate/etc/ifconfig.vioif0":    {"06-first-boot/senate"},
		"senate/etc/namedb/example.net": {"04-dns/senate-short-ttl", "04-dns/senate"},
		"garage/vm/senate/senate.conf":  {"06-first-boot/garage-single-user", "06-first-boot/garage"},
	}
	for name, folders := range files {
		host, file, _ := strings.Cut(name, "/")
		for _, folder := range folders {
			diff := filepath.Join(dir, "out/diffs", folder, file+".diff")
			cmd := exec.CommandContext(t.Context(), program, "-p1", "-i", diff)
			cmd.Dir = filepath.Join(dir, "in", host)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		got, err := os.ReadFile(filepath.Join(dir, "in", name))
		require.NoError(t, err)
		want, err := os.ReadFile(filepath.Join(dir, "out", folders[len(folders)-1], file))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
	}
}

func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		if os.Getenv("REHOST_REAL") == "require" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing", name)
	}
	return path
}

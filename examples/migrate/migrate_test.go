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

// migrate runs the program on a copy of the sample.
func migrate(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	args = append([]string{"-move", filepath.Join(dir, "m.toml"), "-in", filepath.Join(dir, "in"), "-out", filepath.Join(dir, "out")}, args...)
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
	assert.Contains(t, stderr, "migrate -h tells more")
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
	assert.Contains(t, stderr, "not a directory")
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

// TestMistakes makes each mistake that people make in a move, one at a time, in
// a copy of the sample. Each is refused with the place and what to do, and
// nothing is written.
func TestMistakes(t *testing.T) {
	replace := func(file, old, new string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, file)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(data), old), "%s has it once", file)
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o600))
		}
	}
	add := func(file, text string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, file)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		}
	}
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		place string // below the copy, or a phase's folder
		want  []string
	}{
		{"a default route to a gateway in no connected prefix",
			replace("m.toml", `"172.16.1.1/24"`, `"10.17.3.1/24"`),
			"m.toml:", []string{"10.17.3.1", "lies in no prefix that is connected to the guest"}},
		{"all traffic into the tunnel, no host route to the endpoint",
			replace("m.toml", `gateway = "192.168.14.254"`, ""),
			"m.toml:", []string{"guest.home.gateway", "host route to 203.0.113.63"}},
		{"a default route in a file, with its gateway nowhere",
			add("in/senate/etc/ifconfig.vioif1", "inet 172.16.9.4/24\n!route add default 10.17.3.1\n"),
			"in/senate/etc/ifconfig.vioif1:2", []string{"10.17.3.1"}},
		{"defaultroute commented out, with mygate still there",
			add("in/senate/etc/mygate", "198.51.100.1\n"),
			"06-first-boot/senate/etc/mygate:1", []string{"198.51.100.1"}},
		{"a last line without newline",
			replace("in/senate/etc/ifconfig.vioif0", "0xffffff00\n", "0xffffff00"),
			"in/senate/etc/ifconfig.vioif0:3", []string{"newline"}},
		{"a modules.conf without its last newline",
			replace("in/senate/etc/modules.conf", "accf_httpready\n", "accf_httpready"),
			"in/senate/etc/modules.conf:4", []string{"newline"}},
		{"the single-user flag left on",
			replace("in/garage/vm/senate/senate.conf", "-h -r ld0a", "-h -s -r ld0a"),
			"in/garage/vm/senate/senate.conf:10", []string{"single-user"}},
		{"the single-user flag left on in a later command",
			replace("in/garage/vm/senate/senate.conf", "/netbsd\"\nuuid", "/netbsd\"\ngrub_run1=\"knetbsd -s -r dk1 /netbsd\"\nuuid"),
			"in/garage/vm/senate/senate.conf:11", []string{"single-user"}},
		{"a guest that GRUB does not boot", replace("in/garage/vm/senate/senate.conf", "grub_run0=\"knetbsd -h -r ld0a /netbsd\"", "grub_run0=\"chainloader +1\""),
			"garage/vm/senate/senate.conf: ", []string{"no grub_run line boots a NetBSD kernel"}},
		{"a header that nginx drops",
			replace("in/ingress/etc/nginx/sites-available/default", "location / {", "location / { proxy_set_header X-Real_IP $remote_addr;"),
			"in/ingress/etc/nginx/sites-available/default:6:32: ", []string{"X-Real_IP", "write X-Real-IP"}},
		{"a BSD sysctl name in a Linux file",
			replace("in/ingress/etc/sysctl.d/60-router.conf", "net.ipv4.ip_forward = 1", "net.inet.ip.forwarding=1"),
			"in/ingress/etc/sysctl.d/60-router.conf:2", []string{"net.ipv4.ip_forward"}},
		{"a Linux sysctl name on NetBSD",
			replace("in/senate/etc/sysctl.conf", "kern.sbmax=1048576", "net.ipv4.ip_forward=1"),
			"in/senate/etc/sysctl.conf:2", []string{"net.inet.ip.forwarding"}},
		{"a rule that takes an address for an interface",
			replace("in/senate/etc/pf.conf", "port $web\n", "port $web\npass in on wg0 reply-to 172.16.1.1 proto tcp all\n"),
			"in/senate/etc/pf.conf:19", []string{"interface"}},
		{"a quick rule that makes the new rules dead",
			replace("in/senate/etc/pf.conf", "pass out on $ext_if", "pass in quick all\npass out on $ext_if"),
			"02-both-paths/senate/etc/pf.conf:", []string{"quick"}},
		{"an ifconfig_wg0 variable that hides the file",
			replace("in/senate/etc/rc.conf", "npf=NO", "npf=NO\nifconfig_wg0='inet 172.16.1.4/24'"),
			"01-prepare/senate/etc/rc.conf:33", []string{"does not read /etc/ifconfig.wg0"}},
		{"an ifconfig.wg0 of one's own",
			add("in/senate/etc/ifconfig.wg0", "inet 172.16.1.9/24\n"),
			"m.toml:", []string{"senate has /etc/ifconfig.wg0 already"}},
		{"an upgrade that skips a release",
			replace("m.toml", `from = "9.0"`, `from = "8.2"`),
			"m.toml:", []string{"skips a major release"}},
		{"a MAC that is none", replace("m.toml", `"02:00:5e:00:53:04"`, `"02:00"`), "m.toml:", []string{"guest.vm.mac"}},
		{"a memory size that is none", replace("m.toml", `"2048M"`, `"much"`), "m.toml:", []string{"guest.vm.memory"}},
		{"no rc.conf, which would be wiped", func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "in/senate/etc/rc.conf")))
		},
			"in/senate/etc/rc.conf: ", []string{"there is none"}},
		{"a folder of a machine that is not in the move", add("in/senat/etc/rc.conf", "pf=NO\n"), "in/senat", []string{`no machine called "senat"`}},
		{"an rc.conf that is a link to this machine's own", func(t *testing.T, dir string) {
			rc := filepath.Join(dir, "in/senate/etc/rc.conf")
			require.NoError(t, os.Remove(rc))
			require.NoError(t, os.Symlink("/etc/hostname", rc))
		}, "", []string{"senate/etc/rc.conf", "escapes"}},
		{"a pipe for a file", func(t *testing.T, dir string) {
			require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "in/senate/etc/mygate"), 0o600))
		}, "in/senate/etc/mygate: ", []string{"not a regular file"}},
		{"an interface that asks DHCP",
			replace("in/senate/etc/ifconfig.vioif0", "inet 198.51.100.25 netmask 0xffffff00", "dhcp"),
			"in/senate/etc/ifconfig.vioif0:3: ", []string{"past the tunnel"}},
		{"dhcpcd on", replace("in/senate/etc/rc.conf", "dhcpcd=NO", "dhcpcd=YES"),
			"in/senate/etc/rc.conf: ", []string{"past the tunnel"}},
		{"a default route that shares its line",
			replace("in/senate/etc/rc.conf", "defaultroute=\"198.51.100.1\"\t", "dhcpcd=NO defaultroute=\"198.51.100.1\"\t"),
			"senate/etc/rc.conf: ", []string{"defaultroute is not on a line of its own"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := sampleDir(t)
			tt.spoil(t, dir)
			code, stdout, stderr := migrate(t, dir)
			assert.Equal(t, 1, code)
			assert.Empty(t, stdout)
			assert.Contains(t, strings.ReplaceAll(stderr, dir+"/", ""), "\n"+tt.place)
			for _, want := range tt.want {
				assert.Contains(t, stderr, want)
			}
			assert.NoFileExists(t, filepath.Join(dir, "out"))
		})
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
			nil, []string{"ping6", "2001:", "inet6"}},
		{"a service with udp first", []string{`["tcp", "udp"]`, `["udp", "tcp"]`},
			[]string{"`nc -vz -w 5 203.0.113.63 53`", "`dig +short soa example.net @203.0.113.63`", "nc -vz -w 5 203.0.113.63 53 # dns\n"}, nil},
		{"a service with udp only", []string{"[\"tcp\", \"udp\"]\nport = 53", "[\"udp\"]\nport = 123"},
			[]string{"udp port 123 of 203.0.113.63 answers a client of its own"}, []string{"nc -vz -w 5 203.0.113.63 123"}},
		{"no proxy, no forward", []string{`via = "proxy"`, `via = "tunnel"`, `via = "forward"`, `via = "tunnel"`},
			[]string{"03-certificates/ingress/etc/nginx/snippets/certsync.conf"}, []string{"nginx/conf.d", "nc -vz -w 5 203", "The same with", "nginx was told"}},
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
	assert.NoDirExists(t, filepath.Join(dir, "out/diffs/06-first-boot/garage"))
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
	assert.Equal(t, []string{address, address6, key, peer, up,
		"route add -host 203.0.113.63 192.168.14.254",
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
	assert.Equal(t, []string{
		`-memory="1024M"   # more when it runs`, `+memory="2048M"   # more when it runs`, `+network0_mac="02:00:5e:00:53:04"`,
	}, changedLines(t, filepath.Join(dir, "out/diffs/06-first-boot/garage/vm/senate/senate.conf.diff")))
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
	for _, file := range []string{"rc.conf", "ifconfig.vioif0"} {
		for _, phase := range []string{"02-both-paths", "03-certificates", "06-first-boot"} {
			diff := filepath.Join(dir, "out/diffs", phase, "senate/etc", file+".diff")
			if _, err := os.Stat(diff); err != nil {
				continue
			}
			cmd := exec.CommandContext(t.Context(), program, "-p1", "-i", diff)
			cmd.Dir = filepath.Join(dir, "in/senate")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		got, err := os.ReadFile(filepath.Join(dir, "in/senate/etc", file))
		require.NoError(t, err)
		want, err := os.ReadFile(filepath.Join(dir, "out/06-first-boot/senate/etc", file))
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

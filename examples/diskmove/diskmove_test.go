package main

import (
	"bufio"
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/internal/textfile"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"diskmove": main})
}

func TestScript(t *testing.T) {
	lab.Need(t, "b3sum")
	testscript.Run(t, params(nil, "local.txtar", "usage.txtar"))
}

// TestFarEnd runs the script whose other end is behind a real sshd, with a home of
// its own. The PATH there is sshd's, without diskmove, as on a host that has none.
func TestFarEnd(t *testing.T) {
	ssh := lab.StartSSHD(t, lab.SSHD{Config: "SetEnv HOME=" + t.TempDir()})
	last := len(ssh) - 1
	testscript.Run(t, params([]string{"SSH=" + strings.Join(ssh[:last], " "), "FAR=" + ssh[last], "NEWLINE=a\nb"}, "far.txtar"))
}

func params(env []string, scripts ...string) testscript.Params {
	p := testscript.Params{
		UpdateScripts: os.Getenv("UPDATE") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": lab.Exits, "image": makeImage, "spoil": spoil, "pasted": pasted,
		},
		Setup: func(e *testscript.Env) error {
			// With the race detector, each program would sleep a second at its end.
			e.Vars = append(append(e.Vars, "GORACE=atexit_sleep_ms=0"), env...)
			program, err := exec.LookPath("diskmove")
			e.Vars = append(e.Vars, "DISKMOVE="+program)
			return err
		},
	}
	for _, name := range scripts {
		p.Files = append(p.Files, filepath.Join("testdata/script", name))
	}
	return p
}

// makeImage is a command of the scripts: image FILE makes one of 3 MiB and a bit, a
// third of it zeros.
func makeImage(ts *testscript.TestScript, _ bool, args []string) {
	p := make([]byte, 3<<20+5000)
	for i := range p {
		if i < 1<<20 || i > 2<<20 {
			p[i] = byte(i*i>>7) | 1
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), p, 0o600))
}

// spoil is a command of the scripts: spoil FILE OFFSET changes a byte.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	off, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	defer f.Close()
	_, err = f.WriteAt([]byte{0}, off)
	ts.Check(err)
}

// pasted is a command of the scripts: pasted PATTERN gives the last line of the last
// output that has it to a shell.
func pasted(ts *testscript.TestScript, _ bool, args []string) {
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if strings.Contains(line, args[0]) {
			ts.Check(ts.Exec("sh", "-c", line))
			return
		}
	}
	ts.Fatalf("nothing with %q", args[0])
}

// TestAnInterruptedCopyGoesOn presses ^C when some of it is durable.
func TestAnInterruptedCopyGoesOn(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img")
	stderr := cut(t, src, func(cmd *exec.Cmd) error { return cmd.Process.Signal(os.Interrupt) }, src, dst)
	assert.Contains(t, stderr, "stopped: the same command goes on from here")
	goesOn(t, src, dst, src, dst)
}

// TestACopyGoesOnAfterItsConnectionWasCut kills ssh when some of it is durable.
func TestACopyGoesOnAfterItsConnectionWasCut(t *testing.T) {
	ssh := lab.StartSSHD(t, lab.SSHD{})
	host := ssh[len(ssh)-1] + ":"
	program, err := exec.LookPath("diskmove")
	require.NoError(t, err)
	for name, places := range map[string][2]string{"push": {"", host}, "pull": {host, ""}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			src, dst, pid := filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img"), filepath.Join(dir, "pid")
			wrapper := filepath.Join(dir, "ssh")
			script := "#!/bin/sh\necho $$ >" + pid + "\nexec " + strings.Join(ssh[:len(ssh)-1], " ") + ` "$@"` + "\n"
			require.NoError(t, os.WriteFile(wrapper, []byte(script), 0o700))
			args := []string{"-ssh", wrapper, "-agent", program, places[0] + src, places[1] + dst}
			stderr := cut(t, src, func(*exec.Cmd) error {
				text, err := os.ReadFile(pid)
				require.NoError(t, err)
				n, err := strconv.Atoi(strings.TrimSpace(string(text)))
				require.NoError(t, err)
				return syscall.Kill(n, syscall.SIGKILL)
			}, args...)
			assert.Contains(t, stderr, "the same command goes on from here")
			// The agent at the far end notes what it has done before it lets go of the target.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			unlock, err := textfile.Lock(ctx, dst)
			require.NoError(t, err)
			unlock()
			goesOn(t, src, dst, args...)
		})
	}
}

// cut makes an image, begins a copy that would take eight seconds, cuts it off when some of
// it is durable, and returns what diskmove says to that.
func cut(t *testing.T, src string, off func(*exec.Cmd) error, args ...string) (stderr string) {
	random := random{rand.New(rand.NewPCG(1, 2))}
	require.NoError(t, os.WriteFile(src, random.bytes(16<<20), 0o600))
	var said strings.Builder
	cmd := exec.Command("diskmove", append([]string{"copy", "-json", "-rate", "2"}, args...)...)
	cmd.Stderr = &said
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	done := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if !done && !strings.Contains(lines.Text(), `"durable":0,`) {
			require.NoError(t, off(cmd))
			done = true
		}
	}
	assert.Error(t, cmd.Wait())
	assert.Equal(t, 1, cmd.ProcessState.ExitCode())
	return said.String()
}

// goesOn gives the command again.
func goesOn(t *testing.T, src, dst string, args ...string) {
	out, err := exec.Command("diskmove", append([]string{"copy", "-json"}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	_, result, _ := strings.Cut(string(out), `"msg":"result"`)
	assert.NotContains(t, result, `"resumed":0,`)
	assert.Contains(t, result, `"state":"complete"`)
	want, err := os.ReadFile(src)
	require.NoError(t, err)
	got, err := os.ReadFile(dst)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got))
}

// TestATerminalGetsABar has script(1) make one. The image may be empty.
func TestATerminalGetsABar(t *testing.T) {
	lab.Need(t, "script")
	for size, want := range map[int]string{1 << 20: "\r[========================]100.0 % of 1 MiB, ", 0: "\r[                        ]  0.0 % of 0 B, "} {
		src := filepath.Join(t.TempDir(), "src.img")
		require.NoError(t, os.WriteFile(src, make([]byte, size), 0o600))
		out, err := exec.Command("script", "-qec", "diskmove copy "+src+" "+src+".copy", "/dev/null").CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), want)
		assert.Contains(t, string(out), "\r\x1b[Kcomplete: ")
	}
}

// TestNohupIsHeeded hangs up.
func TestNohupIsHeeded(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "src.img"), filepath.Join(dir, "dst.img")
	program, err := exec.LookPath("diskmove")
	require.NoError(t, err)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP) // or a test that runs under nohup itself would hand that on
	defer signal.Stop(caught)
	for nohup, size := range map[bool]int{false: 64 << 20, true: 1 << 20} { // bytes, at one MiB a second
		require.NoError(t, os.WriteFile(src, make([]byte, size), 0o600))
		require.NoError(t, os.RemoveAll(dst+".journal"))
		args := []string{"-c", `[ $0 = false ] || trap "" HUP; exec "$@"`, strconv.FormatBool(nohup), program, "copy", "-json", "-rate", "1", src, dst}
		cmd := exec.Command("sh", args...)
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(stdout)
		require.True(t, lines.Scan())
		require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
		for lines.Scan() {
		}
		assert.Equal(t, nohup, cmd.Wait() == nil)
	}
}

// TestAnAgentOutlivesItsOutput takes away what the agent writes to, as sshd does when
// the link is cut: SIGPIPE would end it before it has noted what it has done.
func TestAnAgentOutlivesItsOutput(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src.img")
	require.NoError(t, os.WriteFile(src, make([]byte, 1<<20), 0o600))
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	cmd := exec.Command("diskmove", "agent", "send", src)
	cmd.Stdout = w
	_, err = cmd.StdinPipe() // open until it has ended
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	assert.Error(t, cmd.Wait())
	require.NoError(t, w.Close())
	assert.Equal(t, 1, cmd.ProcessState.ExitCode(), "%v", cmd.ProcessState)
}

func TestPlaces(t *testing.T) {
	for in, want := range map[string]place{
		"guest.img":                 {"", "guest.img"},
		"./a:b":                     {"", "./a:b"},
		"/dev/disk/by-path/pci:0":   {"", "/dev/disk/by-path/pci:0"},
		"host:/dev/vms/senate":      {"host", "/dev/vms/senate"},
		"me@host:guest.img":         {"me@host", "guest.img"},
		"host:a:b":                  {"host", "a:b"},
		"host:-x":                   {"host", "./-x"},
		"host:/a b;$(reboot)'\"`\\": {"host", "/a b;$(reboot)'\"`\\"},
	} {
		got, err := parsePlace(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []string{"", ":", ":/x", "host:", "-oProxyCommand=reboot:/x", "me@-oProxyCommand=reboot:/x"} {
		_, err := parsePlace(in)
		assert.ErrorAs(t, err, &cli.WrongUsage{}, in)
	}
}

// TestTheFarShellReadsEachWordAsItIs gives what is said to ssh to a real shell.
func TestTheFarShellReadsEachWordAsItIs(t *testing.T) {
	words := []string{"printf", `%s\n`, "", "a b", "$(reboot)", "`reboot`", "'", `"`, `\`, `\'`, ";", "&", "|", "<", ">", "*", "?", "[a]", "{a,b}",
		"~", "#", "!", "$HOME", "a=b", "-n", "é", "if"}
	argv, err := (&call{ssh: "ssh"}).reach("host", words...)
	require.NoError(t, err)
	i := 1
	for argv[i-1] != "host" {
		i++
	}
	out, err := exec.Command("sh", "-c", strings.Join(argv[i:], " ")).Output() // as sshd does
	require.NoError(t, err)
	assert.Equal(t, strings.Join(words[2:], "\n")+"\n", string(out))
	for _, bad := range []string{"a\nreboot", "a\x00b", "a\x1b[2J", "\xff"} {
		_, err := (&call{ssh: "ssh"}).reach("host", bad)
		assert.ErrorAs(t, err, &cli.WrongUsage{}, "%q", bad)
	}
}

package netbsdcfg_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
	"github.com/rehost/rehost/netbsdcfg"
)

// A bootShell runs files through testdata/network.sh with the machine's own
// /bin/sh. It does so in an empty directory, with a PATH that holds nothing.
type bootShell struct{ sh, script, dir, bin string }

func newBootShell(t *testing.T) *bootShell {
	t.Helper()
	const sh = "/bin/sh"
	lab.Need(t, sh)
	script, err := filepath.Abs("testdata/network.sh")
	require.NoError(t, err)
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	require.NoError(t, os.Mkdir(bin, 0o755))
	keygen := "#!/bin/sh\nprintf '>\\n|wg-keygen\\n' >&3\nfor a; do printf '|%s\\n' \"$a\" >&3; done\n" +
		"for a; do if [ \"$a\" = --pub ]; then while read -r x; do :; done; fi; done\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "wg-keygen"), []byte(keygen), 0o755))
	return &bootShell{sh, script, filepath.Join(dir, "cwd"), bin}
}

func (b *bootShell) run(t *testing.T, input []byte, args ...string) string {
	t.Helper()
	// A redirection may have left files, which a pattern would find.
	require.NoError(t, os.RemoveAll(b.dir))
	require.NoError(t, os.Mkdir(b.dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "found"), nil, 0o644))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.sh, append([]string{b.script}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = b.dir, []string{"PATH=" + b.bin}, bytes.NewReader(input)
	out, err := cmd.Output()
	require.NoError(t, ctx.Err())
	if err != nil {
		// The status is that of the last command, which may be false.
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return string(out)
}

// standIns are the programs that testdata/network.sh has.
var standIns = []string{"ifconfig", "dhcpcd", "route", "wgconfig", "hello", "cat", "wg-keygen"}

// read returns what the boot script runs for a file.
func (b *bootShell) read(t *testing.T, iface string, data []byte) string {
	t.Helper()
	return b.run(t, data, "read", iface)
}

// expand returns what the commands come to, in the same form.
func (b *bootShell) expand(t *testing.T, iface string, cmds []netbsdcfg.Command) string {
	t.Helper()
	var out strings.Builder
	for _, c := range cmds {
		if c.Shell != "" {
			require.Nil(t, c.Argv)
			out.WriteString(b.run(t, nil, "run", iface, c.Shell))
			continue
		}
		if !slices.Contains(standIns, c.Argv[0]) {
			continue // there is no such program, and nothing prints
		}
		out.WriteString(">\n")
		for _, arg := range c.Argv {
			out.WriteString("|" + arg + "\n")
		}
	}
	return out.String()
}

// compare compares Commands with what a shell runs, and reports whether that
// could be done: what a Shell command takes of its input is not told, and a
// process number is another each time; a background job has no fixed place.
func (b *bootShell) compare(t *testing.T, text string) bool {
	t.Helper()
	f, err := netbsdcfg.ParseIfconfig("ifconfig.wg0", []byte(text))
	require.NoError(t, err)
	cmds := f.Commands("wg0")
	for _, c := range cmds {
		for _, unsure := range []string{"cat", "read", "wg-keygen", "$$", `\&`} {
			if strings.Contains(c.Shell, unsure) {
				return false
			}
		}
	}
	assert.Equal(t, b.read(t, "wg0", []byte(text)), b.expand(t, "wg0", cmds), "%q: %+v", text, cmds)
	return true
}

func TestCommandsAreWhatARealShellRuns(t *testing.T) {
	sh := newBootShell(t)
	compared := 0
	for _, tt := range quirks {
		t.Run(tt.trap, func(t *testing.T) {
			if sh.compare(t, tt.text) {
				compared++
			}
		})
	}
	assert.GreaterOrEqual(t, compared, len(quirks)-4)
}

// words are what random files are made of: nothing in them does harm, whatever
// the order.
var words = []string{
	"inet", "10.0.0.1", "10.0.0.2/24", "netmask", "alias", "up", "create", "dhcp", "hello",
	"!", "!", "!hello", "!route add default 10.0.0.1", "!wgconfig $int", "!wg-keygen --pub", "!read x", "!cat",
	" ", " ", "  ", "\t", "\n", "\n", "\n", "\n", "\\", "\\\n", " \\\n", "\\ \n", "\r", "\r\n", "\x00",
	"'", "'", "\"", "\"", "it's", "'a  b'", "\"a $int\"", "'a'", "\\$int", "\\'", "\\ ",
	"$int", "${int}", "$int5", "$", "${int:-x}", "$#", "$UNSET", "$(hello)", "`hello`", "$((1+1))",
	"#", " # c", "# c \\\n", ";", ";", "; hello", "&&", "||", "*", "?", "[a]", "~", "=", "a=b", "{", "}", "{a,b}",
	"(", ")", "if", "then", "fi", "exit", "cd", "set", "<", ">", ">/dev/null", "é", "\xff", "echo", "!", ":", "case", "in", "esac",
}

func TestCommandsOfRandomFilesAreWhatARealShellRuns(t *testing.T) {
	sh := newBootShell(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	const rounds = 300
	compared := 0
	for range rounds {
		var b strings.Builder
		for range 1 + rnd.IntN(14) {
			b.WriteString(words[rnd.IntN(len(words))])
			if rnd.IntN(3) == 0 {
				b.WriteByte(' ')
			}
		}
		if rnd.IntN(5) > 0 {
			b.WriteByte('\n')
		}
		if sh.compare(t, b.String()) {
			compared++
		}
		if t.Failed() {
			return
		}
	}
	assert.Greater(t, compared, rounds*8/10)
}

// What AddCommand and AddLine quote is what programs get, whatever the words.
func TestWhatIsQuotedSurvivesARealShell(t *testing.T) {
	sh := newBootShell(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	f := parse(t, "")
	want := ""
	for i := range 200 {
		argv := []string{"hello", strconv.Itoa(i)}
		for range rnd.IntN(4) {
			word := words[rnd.IntN(len(words))] + words[rnd.IntN(len(words))]
			if !strings.ContainsFunc(word, unicode.IsControl) && utf8.ValidString(word) {
				argv = append(argv, word)
			}
		}
		if i%2 == 0 {
			require.NoError(t, f.AddCommand(argv...))
			want += ">\n|" + strings.Join(argv, "\n|") + "\n"
		} else {
			require.NoError(t, f.AddLine(argv...))
			want += ">\n|ifconfig\n|wg0\n|" + strings.Join(argv, "\n|") + "\n"
		}
	}
	assert.Equal(t, want, sh.read(t, "wg0", f.Bytes()))
}

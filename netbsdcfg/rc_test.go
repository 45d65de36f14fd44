package netbsdcfg

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseRC(t testing.TB, text string) *RC {
	t.Helper()
	rc, err := ParseRC("rc.conf", []byte(text))
	require.NoError(t, err)
	require.Equal(t, text, string(rc.Bytes()))
	return rc
}

// rcDefaults is how each rc.conf of NetBSD begins.
const rcDefaults = "if [ -r /etc/defaults/rc.conf ]; then\n\t. /etc/defaults/rc.conf\nfi\n\nrc_configured=YES\n"

func TestRCGetReadsAsTheShellDoes(t *testing.T) {
	const unset = "(unset)"
	tests := []struct{ name, text, want string }{
		{"plain", "a=1\n", "1"},
		{"the last assignment wins", "a=1\na=2\n", "2"},
		{"empty", "a=\n", ""},
		{"single quotes", "a='x  \"y\" $z \\'\n", `x  "y" $z \`},
		{"double quotes with escapes", `a="x \"y\" \$z \\ \n"` + "\n", `x "y" $z \ \n`},
		{"backslashes", "a=x\\ y\\#z\n", "x y#z"},
		{"pieces in different quotes", "a=x'y'\"z\"\n", "xyz"},
		{"trailing comment", "a=1\t# a=2\n", "1"},
		{"a comment that ends in a backslash", "a=1 # c\\\nb=2\n", "1"},
		{"a # inside a word", "a=x#y\n", "x#y"},
		{"several on one line", "b=0 a=1; a=2 c=3\n", "2"},
		{"export", "export a=1 b\n", "1"},
		{"a value of several lines", "a=\"x\n y\"\n", "x\n y"},
		{"a line that goes on", "a=x\\\ny\n", "xy"},
		{"no newline at the end", "a=1", "1"},
		{"CR LF stays in the value", "a=1\r\n", "1\r"},
		{"bytes that are not UTF-8", "a=\xff\xfe\n", "\xff\xfe"},
		{"for a command only", "a=1 cmd\n", unset},
		{"commented out", "#a=1\n", unset},
		{"in a here-document", "cat <<X\na=1\nX\n", unset},
		{"in a subshell", "a=1\n(a=2)\n", unset},
		{"appended to, which is a command", "a=1\na+=2\n", "1"},
		{"with blanks, which is a command", "a=1\na = 2\n", "1"},
		{"made of another", "b=1\na=$b\n", unset},
		{"from a command", "a=`hostname`\n", unset},
		{"a home directory", "a=~root/x\n", unset},
		{"a home directory behind a colon", "a=/bin:~/bin\n", unset},
		{"in a conditional", "a=1\nif true; then a=2; fi\n", unset},
		{"known again after a conditional", "if true; then a=2; fi\na=1\n", "1"},
		{"a loop variable", "a=1\nfor a in x; do :; done\n", unset},
		{"read", "a=1\nread -r a < /dev/null\n", unset},
		{"unset", "a=1\nunset a\n", unset},
		{"a default in an expansion", "a=\n: ${a:=2}\n", unset},
		{"arithmetic", "a=1\n: $((a += 1))\n", unset},
		{"a file read above", ". ./other\na=1\n", "1"},
		{"a file read below", "a=1\n. /etc/rc.local.conf\n", unset},
		{"eval below", "a=1\neval \"$x\"\n", unset},
		{"a command that is computed", "a=1\n$x a=2\n", unset},
		{"a word of export that is computed", "a=1\nexport $x\n", unset},
		{"a word of export that meets files", "export a=*\n", unset},
		{"an export of what is no name", "export a=1 2b\n", unset},
		{"a function that is defined", "a=1\nf() { a=2; }\n", "1"},
		{"a function that is called", "f() { a=2; }\na=1\nf\n", unset},
		{"a function from a conditional", "if true; then f() { a=2; }; fi\na=1\nf\n", unset},
		{"a function from a function", "f() { g() { a=2; }; }\nf\na=1\ng\n", unset},
		{"a function that makes a variable readonly", "f() { readonly a; }\nf\na=1\nb=2\n", unset},
		{"a function that reads a file", "f() { . x; }\na=1\nf\n", unset},
		{"an assignment before a special built-in stays", "a=1\na=2 :\n", unset},
		{"behind a return", "a=1\nreturn 0\na=2\n", "1"},
		{"behind a return in a conditional", "b=1\nif true; then return; fi\na=1\n", unset},
		{"behind a function that exits", "f() { exit; }\nf\na=1\n", unset},
		{"behind a function that returns", "f() { return; }\nf\na=1\n", "1"},
		{"behind exec for redirections", "exec 3>&1\nexec\na=1\n", "1"},
		{"behind exec", "a=1\nexec other\na=2\n", "1"},
		{"one word of an export is computed", "export a=1 b=$x\n", "1"},
		{"readonly", "readonly a=1\n", unset},
		{"the shell stops at a readonly variable", "readonly b=1\nb=2\na=1\n", unset},
		{"a name in two lines", "b\\\na=1\na\\\nb=2\n", unset},
		{"behind a byte order mark", "\ufeffa=1\n", unset},
		{"a script that the shell refuses", "a=1\nb='\n", unset},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rc := parseRC(t, tt.text)
			got, ok := rc.Get("a")
			if !ok {
				got = unset
			}
			assert.Equal(t, tt.want, got)
			agrees(t, rc)
		})
	}
}

func TestRCAllYieldsWhatGetKnows(t *testing.T) {
	rc := parseRC(t, "a=1 b=2\na=3\nc=$x\nd='4'\n")
	var keys []string
	for key, value := range rc.All() {
		got, ok := rc.Get(key)
		assert.True(t, ok)
		assert.Equal(t, got, value)
		keys = append(keys, key)
	}
	assert.Equal(t, []string{"b", "a", "d"}, keys)
	for range rc.All() {
		break // must not go on
	}
}

func TestRCSet(t *testing.T) {
	tests := []struct{ name, in, key, value, want string }{
		{"keeps the comment", "a=1\t# why\nb=2\n", "a", "3", "a=3\t# why\nb=2\n"},
		{"keeps double quotes", "a=\"1\" # \"\n", "a", "3", "a=\"3\" # \"\n"},
		{"keeps single quotes", "a='1'\n", "a", "$x", "a='$x'\n"},
		{"needs other quotes than single ones", "a='1'\n", "a", "it's", "a=\"it's\"\n"},
		{"needs quotes", "a=1\n", "a", "x y", "a=\"x y\"\n"},
		{"escapes in double quotes", "a=\"1\"\n", "a", "\"$x`\\", "a=\"\\\"\\$x\\`\\\\\"\n"},
		{"an empty value", "a=1\n", "a", "", "a=\"\"\n"},
		{"the assignment that counts", "a=1\nb=2\na=3\n", "a", "4", "a=1\nb=2\na=4\n"},
		{"one of two on a line", "a=1 b=2; a=3 # c\n", "b", "x y", "a=1 b=\"x y\"; a=3 # c\n"},
		{"export", "export a=1 b=2\n", "a", "3", "export a=3 b=2\n"},
		{"a value of several lines", "a=\"x\n y\" # c\n", "a", "z", "a=\"z\" # c\n"},
		{"a line that goes on at the end of the file", "a=x\\\n", "a", "y", "a=\"y\"\n"},
		{"adds at the end", "a=1\n", "b", "2", "a=1\nb=2\n"},
		{"adds to an empty file", "", "b", "x y", "b=\"x y\"\n"},
		{"ends the last line first", "a=1", "b", "2", "a=1\nb=2\n"},
		{"ends the last line that it edits", "a=1", "a", "2", "a=2\n"},
		{"adds below what may override it", "a=1\nif x; then a=2; fi\n", "a", "3", "a=1\nif x; then a=2; fi\na=3\n"},
		{"adds below a file that is read", "a=1\n. x\n", "a", "3", "a=1\n. x\na=3\n"},
		{"adds above a return", "a=1\nreturn\nb=2\n", "b", "3", "a=1\nb=3\nreturn\nb=2\n"},
		{"adds above an exit in the last line", "exit 0", "b", "3", "b=3\nexit 0"},
		{"not into a here-document", "cat <<X\nb=1\nX\n", "b", "2", "cat <<X\nb=1\nX\nb=2\n"},
		{"not into a conditional", "if x; then\nb=1\nfi", "b", "2", "if x; then\nb=1\nfi\nb=2\n"},
		{"a CR LF file gets a line that the shell reads", "a=1\r\nb=2\r\n", "a", "3", "a=3\nb=2\r\n"},
		{"a new line in a CR LF file", "a=1\r\n", "b", "3", "a=1\r\nb=3\n"},
		{"text beyond ASCII", "a=1\n", "a", "Bücher", "a=\"Bücher\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rc := parseRC(t, tt.in)
			require.NoError(t, rc.Set(tt.key, tt.value))
			assert.Equal(t, tt.want, string(rc.Bytes()))
			got, ok := parseRC(t, tt.want).Get(tt.key)
			assert.True(t, ok)
			assert.Equal(t, tt.value, got)
		})
	}
}

func TestRCSetOfWhatIsThereChangesNothing(t *testing.T) {
	text := "a=1 # x\nb='y'\nc=\"x\ny\"\nd=\"\\$\"\n"
	rc := parseRC(t, text)
	for key, value := range maps.Collect(rc.All()) {
		require.NoError(t, rc.Set(key, value))
	}
	assert.Equal(t, text, string(rc.Bytes()))
	assert.Empty(t, rc.Changes())
}

func TestRCSetRefuses(t *testing.T) {
	tests := []struct{ name, in, key, value string }{
		{"no key", "", "", "1"},
		{"a key with a digit first", "", "1a", "1"},
		{"a key that is a command", "", "a;reboot;b", "1"},
		{"a key of several lines", "", "a=1\nb", "1"},
		{"a newline", "a=1\n", "a", "1\nreboot"},
		{"a NUL", "a=1\n", "a", "1\x00"},
		{"a tab", "a=1\n", "a", "1\t2"},
		{"an escape sequence", "a=1\n", "a", "\x1b[2J"},
		{"bytes that are not UTF-8", "a=1\n", "a", "\xff"},
		{"what a readonly variable stops", "readonly a=1\n", "a", "2"},
		{"behind a return in a conditional", "if x; then return; fi\n", "a", "2"},
		{"below a backslash at the end", "a=x \\", "b", "2"},
		{"below a value that ends in a backslash", "a=x\\", "b", "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rc := parseRC(t, tt.in)
			var refused *ValueError
			require.ErrorAs(t, rc.Set(tt.key, tt.value), &refused)
			assert.Equal(t, tt.in, string(rc.Bytes()))
		})
	}
}

func TestRCThatTheShellRefusesIsKept(t *testing.T) {
	text := "a=1\n#b=2\nif true; then\n"
	rc := parseRC(t, text)
	var broken *ParseError
	require.ErrorAs(t, rc.Set("a", "2"), &broken)
	assert.Equal(t, "rc.conf:3:10: `then` must be followed by a statement list", broken.Error())
	assert.False(t, rc.Comment("a"))
	assert.False(t, rc.Uncomment("b"))
	assert.False(t, rc.Unset("a"))
	assert.Equal(t, text, string(rc.Bytes()))
	problems := rc.Check()
	require.Len(t, problems, 1)
	assert.Equal(t, Error, problems[0].Severity)
	assert.Equal(t, []int{3, 10}, []int{problems[0].Line, problems[0].Col})

	anonymous := parseRC(t, "a=1\n if x; then (){ b=2; }; fi\n").Check()
	require.Len(t, anonymous, 1)
	assert.Contains(t, anonymous[0].Error(), "rc.conf:2:13: error: the shell stops here")
	lang := parseRC(t, "a=1\nb=(1 2)\n").Check()
	require.Len(t, lang, 1)
	assert.Equal(t, "rc.conf:2:3: error: the shell stops here, and so does the boot: not in the language of sh: arrays", lang[0].Error())
}

func TestRCUnset(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"the line and its comment", "b=1\n\ta=2 # x\nc=3\n", "b=1\nc=3\n"},
		{"all, so that none comes back", "a=1\nb=2\na=3\n", "b=2\n"},
		{"the first of two words", "a=1  b=2\n", "b=2\n"},
		{"the last of two words", "b=2 a=1 # c\n", "b=2 # c\n"},
		{"the first of two statements", "a=1; b=2\n", "b=2\n"},
		{"the last of two statements", "b=2; a=1\n", "b=2;\n"},
		{"twice in a line", "a=1 a=2; b=3; a=4\n", "; b=3;\n"},
		{"a value of several lines", "a='x\ny'\nb=1\n", "b=1\n"},
		{"a line that goes on", "a=1\\\n\nb=2\n", "\nb=2\n"},
		{"the whole file", "a=1", ""},
		{"one word of an export", "export a=1 b=2\n", "export b=2\n"},
		{"not what is no plain assignment", "a=1\na=$b\n", "a=$b\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rc := parseRC(t, tt.in)
			if strings.HasPrefix(tt.want, ";") { // the shell refuses what would be left
				assert.False(t, rc.Unset("a"))
				assert.Equal(t, tt.in, string(rc.Bytes()))
				return
			}
			assert.True(t, rc.Unset("a"))
			assert.Equal(t, tt.want, string(rc.Bytes()))
			_, ok := rc.Get("a")
			assert.False(t, ok)
		})
	}
	assert.False(t, parseRC(t, "b=1\n").Unset("a"))
}

func TestRCEnabledIsCheckyesno(t *testing.T) {
	for _, value := range []string{"YES", "yes", "yEs", "TRUE", "true", "ON", "on", "1"} {
		on, ok := parseRC(t, "pf="+value+"\n").Enabled("pf")
		assert.True(t, on && ok, value)
	}
	for _, value := range []string{"NO", "no", "FALSE", "OFF", "off", "0"} {
		on, ok := parseRC(t, "pf="+value+"\n").Enabled("pf")
		assert.True(t, !on && ok, value)
	}
	for _, text := range []string{"", "pf=\n", "pf=Y\n", "pf=2\n", "pf=\"YES \"\n", "pf=YES\r\n", "pf=$x\n", "pf=ye\u017f\n"} {
		on, ok := parseRC(t, text).Enabled("pf")
		assert.False(t, on || ok, text)
	}
}

func TestRCEnable(t *testing.T) {
	rc := parseRC(t, "pf=yes\t# filter\nnpf=1\n")
	require.NoError(t, rc.Enable("pf", true))
	require.NoError(t, rc.Enable("npf", false))
	require.NoError(t, rc.Enable("sshd", true))
	assert.Equal(t, "pf=yes\t# filter\nnpf=NO\nsshd=YES\n", string(rc.Bytes()))
	var refused *ValueError
	assert.ErrorAs(t, rc.Enable("ssh-agent", true), &refused)
}

// The guest of the move: pf is switched on for the two paths, and for home the
// default route goes and pf with it.
func TestRCOfTheMoveDiffersOnlyInTheLinesNamed(t *testing.T) {
	before := rcDefaults + "\nhostname=senate.example.net\n# the provider's gateway\ndefaultroute=\"198.51.100.1\"\t# phase 6: goes\n\n" +
		"sshd=YES ntpd=YES\nnamed=YES\t\tnamed_chrootdir=\"/var/chroot/named\"\npostfix=YES # mail\npf=NO\nif [ -f /etc/rc.local.conf ]; then :; fi\n"
	rc := parseRC(t, before)
	require.NoError(t, rc.Enable("pf", true))
	both := strings.Replace(before, "\npf=NO\n", "\npf=YES\n", 1)
	assert.Equal(t, both, string(rc.Bytes()))

	home := parseRC(t, both)
	require.True(t, home.Comment("defaultroute"))
	require.NoError(t, home.Enable("pf", false))
	assert.Equal(t, strings.Replace(before, "\ndefaultroute=", "\n#defaultroute=", 1), string(home.Bytes()))
	assert.Equal(t, 4, strings.Count(home.Changes(), "\n-")+strings.Count(home.Changes(), "\n+")-1, home.Changes())

	require.True(t, home.Uncomment("defaultroute"))
	require.NoError(t, home.Enable("pf", true))
	assert.Equal(t, both, string(home.Bytes()))
	assert.Empty(t, home.Changes())
}

func TestRCFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rc.conf")
	_, err := OpenRC(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	rc, err := CreateRC(path)
	require.NoError(t, err)
	require.NoError(t, rc.Set("rc_configured", "YES"))
	require.NoError(t, rc.Save(t.Context()))
	_, err = CreateRC(path)
	require.ErrorIs(t, err, fs.ErrExist)

	rc, err = OpenRC(path)
	require.NoError(t, err)
	require.NoError(t, rc.Enable("pf", true))
	assert.Contains(t, rc.Changes(), "\n+pf=YES\n")
	require.NoError(t, os.WriteFile(path, []byte("# new\n"), 0o644))
	require.ErrorIs(t, rc.Save(t.Context()), ErrStale)
	require.NoError(t, os.WriteFile(path, []byte("rc_configured=YES\n"), 0o644))
	require.NoError(t, rc.Save(t.Context()))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "rc_configured=YES\npf=YES\n", string(data))
}

func TestNULIsNoText(t *testing.T) {
	data := []byte("a=1\nb\x00=2\n")
	_, rcErr := ParseRC("f", data)
	_, modErr := ParseModules("f", data)
	_, sysErr := ParseSysctl("f", NetBSD, data)
	_, gateErr := ParseMyGate("f", data)
	for i, err := range []error{rcErr, modErr, sysErr, gateErr} {
		var parse *ParseError
		require.ErrorAs(t, err, &parse, i)
		assert.Equal(t, "f:2:2: a NUL byte: this is no text file", err.Error())
	}
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err := OpenRC(path)
	assert.Error(t, errors.Unwrap(err))
}

package netbsdcfg_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/netbsdcfg"
)

// quirks are files that do something else than they seem to. Commands must give
// want; Check must report problems; and a real shell must agree with want.
var quirks = []struct {
	trap     string
	text     string
	want     []string
	problems []string
}{
	{
		trap: "lines in order, blank lines and comments skipped",
		text: "# home\n\ncreate\n   \ninet 192.168.14.5/24\n\t#c\nup\n",
		want: []string{`5 ["ifconfig" "wg0" "inet" "192.168.14.5/24"]`, `7 ["ifconfig" "wg0" "up"]`},
	},
	{
		trap:     "last line without newline is lost",
		text:     "up\ninet 192.168.14.5/24",
		want:     []string{`1 ["ifconfig" "wg0" "up"]`},
		problems: []string{"2: error: the last line has no newline and is lost"},
	},
	{
		trap: "last line without newline is a comment, and nothing is lost",
		text: "up\n# the end",
		want: []string{`1 ["ifconfig" "wg0" "up"]`},
	},
	{
		trap:     "last line that ends in a backslash is lost",
		text:     "up\ninet 192.168.14.5/24 \\\n",
		want:     []string{`1 ["ifconfig" "wg0" "up"]`},
		problems: []string{"2: error: the file ends in a backslash, and this line is lost"},
	},
	{
		trap:     "last line that ends in a backslash without newline is lost",
		text:     "up\ninet 192.168.14.5/24 \\",
		want:     []string{`1 ["ifconfig" "wg0" "up"]`},
		problems: []string{"2: error: the file ends in a backslash, and this line is lost"},
	},
	{
		trap:     "what is joined to a last line without newline is lost with it",
		text:     "up\ninet 192.168.14.5/24 \\\nalias",
		want:     []string{`1 ["ifconfig" "wg0" "up"]`},
		problems: []string{"2: error: the last line has no newline and is lost"},
	},
	{
		trap: "CRLF: the carriage return is executed",
		text: "# c\r\nup\r\n\r\n",
		want: []string{`2 ["ifconfig" "wg0" "up\r"]`, `3 ["ifconfig" "wg0" "\r"]`},
		problems: []string{
			"2:3: error: a carriage return at the end becomes part of the last word: write lines that end in LF only (lines: 2)",
		},
	},
	{
		trap: "CRLF: a backslash before the carriage return continues nothing",
		text: "inet 10.0.0.2/24 \\\r\nalias\n",
		want: []string{`1 ["ifconfig" "wg0" "inet" "10.0.0.2/24" "\r"]`, `2 ["ifconfig" "wg0" "alias"]`},
		problems: []string{
			"1:19: error: a carriage return at the end becomes part of the last word: write lines that end in LF only (lines: 1)",
		},
	},
	{
		trap:     "a comment that ends in a backslash swallows the next line",
		text:     "# c \\\ninet 10.0.0.1/24\nup\n",
		want:     []string{`3 ["ifconfig" "wg0" "up"]`},
		problems: []string{"2: error: is part of the comment above, which ends in a backslash"},
	},
	{
		trap: "a comment that ends in a backslash before another comment loses nothing",
		text: "# c \\\n# d\nup\n",
		want: []string{`3 ["ifconfig" "wg0" "up"]`},
	},
	{
		trap:     "a comment after a command that ends in a backslash swallows the next line",
		text:     "inet 10.0.0.1/24 # \xe9 \\\nup\n!hello # c \\\nup\nmtu 1400 \\\n# c\nup 'a # b' \\\ndown\n!hello it's # \\\nup\n",
		want:     []string{`1 ["ifconfig" "wg0" "inet" "10.0.0.1/24"]`, `3 ["hello"]`, `5 ["ifconfig" "wg0" "mtu" "1400"]`, `7 ["ifconfig" "wg0" "up" "a # b" "down"]`},
		problems: []string{"2: error: is part of the comment above", "4: error: is part of the comment above", "9: error: sh refuses the line"},
	},
	{
		trap:     "a continued line and an indented one are joined with no space between",
		text:     "inet 10.0.0.2\\\n    netmask 0xffffff00\n",
		want:     []string{`1 ["ifconfig" "wg0" "inet" "10.0.0.2netmask" "0xffffff00"]`},
		problems: []string{"1:14: error: joins the next line with no space between: write a blank before the backslash"},
	},
	{
		trap: "a blank before the backslash stays",
		text: "inet 10.0.0.2 \\\n    netmask 0xffffff00 \\\n\talias\nup\n",
		want: []string{`1 ["ifconfig" "wg0" "inet" "10.0.0.2" "netmask" "0xffffff00" "alias"]`, `4 ["ifconfig" "wg0" "up"]`},
	},
	{
		trap:     "a backslash followed by a blank still continues",
		text:     "inet 10.0.0.2/24 \\ \t\nalias\n",
		want:     []string{`1 ["ifconfig" "wg0" "inet" "10.0.0.2/24" "alias"]`},
		problems: []string{"1:18: warning: the backslash continues the line, though blanks follow it"},
	},
	{
		trap: "two backslashes at the end: one stays",
		text: "!hello a\\\\\nb\n",
		want: []string{`1 ["hello" "ab"]`},
	},
	{
		trap: "a comment after a word is fine",
		text: "up # c\n",
		want: []string{`1 ["ifconfig" "wg0" "up"]`},
	},
	{
		trap: "dhcp runs dhcpcd",
		text: "  dhcp \n",
		want: []string{`1 ["dhcpcd" "-n" "wg0"]`},
	},
	{
		trap:     "dhcp with a comment is passed to ifconfig",
		text:     "dhcp # c\n",
		want:     []string{`1 ["ifconfig" "wg0" "dhcp"]`},
		problems: []string{`1: error: is not exactly "dhcp", and is passed to ifconfig`},
	},
	{
		trap:     "create with a comment is passed to ifconfig",
		text:     "create # c\n",
		want:     []string{`1 ["ifconfig" "wg0" "create"]`},
		problems: []string{`1: error: is not exactly "create", and is passed to ifconfig`},
	},
	{
		trap:     "runs of blanks collapse to one, quoted or not",
		text:     "ssid 'my  net'   nwkey\t\"a\t b\"\n",
		want:     []string{`1 ["ifconfig" "wg0" "ssid" "my net" "nwkey" "a b"]`},
		problems: []string{`1: error: blanks collapse to one, also in quotes, and ifconfig gets ["ssid" "my net" "nwkey" "a b"]`},
	},
	{
		trap: "single blanks in quotes and runs outside stay what they were",
		text: "ssid   'my net'\n",
		want: []string{`1 ["ifconfig" "wg0" "ssid" "my net"]`},
	},
	{
		trap: "blanks in a ! command do not collapse",
		text: "!hello 'a  b'\n",
		want: []string{`1 ["hello" "a  b"]`},
	},
	{
		trap:     "what follows a semicolon is executed, and before ifconfig",
		text:     "inet 10.0.0.1/24 ; hello 'x y'\n",
		want:     []string{`1 ["hello" "x y"]`, `1 ["ifconfig" "wg0" "inet" "10.0.0.1/24"]`},
		problems: []string{"1:18: warning: sh acts on ; or & before ifconfig sees the line"},
	},
	{
		trap:     "a variable is expanded",
		text:     "inet $ADDR\n",
		want:     []string{`1 sh "ifconfig wg0 inet $ADDR"`},
		problems: []string{"1:6: warning: sh acts on $ before ifconfig sees the line"},
	},
	{
		trap:     "backticks are executed",
		text:     "  inet `hello`\n",
		want:     []string{"1 sh \"ifconfig wg0 inet `hello`\""},
		problems: []string{"1:8: warning: sh acts on a command substitution before ifconfig sees the line"},
	},
	{
		trap:     "a redirection, a pipe and arithmetic are for the shell",
		text:     "inet 10.0.0.1/24 > x\nmtu $((1400))\nup && hello\n",
		want:     []string{`1 sh "set -f; eval 'set -- inet 10.0.0.1/24 > x'; ifconfig wg0 \"$@\""`, `2 sh "ifconfig wg0 mtu $((1400))"`, `3 sh "set -f; eval 'set -- up && hello'; ifconfig wg0 \"$@\""`},
		problems: []string{"1:18: warning: sh acts on a redirection before", "2:5: warning: sh acts on $((", "3:4: warning: sh acts on && before"},
	},
	{
		trap: "the variable int is the interface",
		text: "!hello $int ${int} \"$int\" '$int' \\$int a${int}b\n",
		want: []string{`1 ["hello" "wg0" "wg0" "wg0" "$int" "$int" "awg0b"]`},
	},
	{
		trap:     "a quote that is not closed: that line fails, the rest runs",
		text:     "descr it's\n!hello 'x\nup\n",
		want:     []string{`3 ["ifconfig" "wg0" "up"]`},
		problems: []string{"1: error: sh refuses the line and runs none of it", "2: error: sh refuses the line and runs none of it"},
	},
	{
		trap:     "a ! command that reads stdin eats the rest of the file",
		text:     "!wg-keygen --pub\ninet 10.0.0.1/24\n\n!hello\n",
		want:     []string{`1 ["wg-keygen" "--pub"]`},
		problems: []string{"1: error: reads the rest of this file as its input, which is not run: give it another (lines: 2)"},
	},
	{
		trap:     "a ! command that reads stdin inside a pipe or a subshell eats the rest",
		text:     "!( wg-keygen --pub )\nup\n",
		want:     []string{`1 sh "( wg-keygen --pub )"`},
		problems: []string{"1: error: reads the rest of this file as its input, which is not run: give it another (lines: 1)"},
	},
	{
		trap: "a ! command with its input from elsewhere eats nothing",
		text: "!wg-keygen --pub </dev/null\n!hello | wg-keygen --pub\n!wg-keygen --pub 0</dev/null &\nup\n",
		want: []string{`1 sh "wg-keygen --pub </dev/null"`, `2 sh "hello | wg-keygen --pub"`, `3 sh "wg-keygen --pub 0</dev/null &"`, `4 ["ifconfig" "wg0" "up"]`},
	},
	{
		trap:     "read takes one line",
		text:     "!read x\ninet 10.0.0.1/24\nup\n",
		want:     []string{`1 sh "read x"`, `3 ["ifconfig" "wg0" "up"]`},
		problems: []string{"1: error: reads the next line as its input, which is not run: give it another"},
	},
	{
		trap:     "a reader at the end has nothing to read",
		text:     "!cat\n# end\n",
		want:     []string{`1 ["cat"]`},
		problems: []string{"1: warning: reads its standard input, which is the rest of this file, and there is none"},
	},
	{
		trap:     "a reader that may run or not",
		text:     "!hello || cat\n!if hello; then cat; fi\n!hello $(cat)\nup\n",
		want:     []string{`1 sh "hello || cat"`, `2 sh "if hello; then cat; fi"`, `3 sh "hello $(cat)"`, `4 ["ifconfig" "wg0" "up"]`},
		problems: []string{"1: warning: may read its standard input", "2: warning: may read its standard input", "3: warning: may read its standard input"},
	},
	{
		trap: "globs are off for ifconfig",
		text: "descr * [f]ound fo?nd\n",
		want: []string{`1 ["ifconfig" "wg0" "descr" "*" "[f]ound" "fo?nd"]`},
	},
	{
		trap:     "globs are on for a ! command",
		text:     "!hello fo*\n!hello 'fo*' \\*\n",
		want:     []string{`1 sh "hello fo*"`, `2 ["hello" "fo*" "*"]`},
		problems: []string{"1:8: warning: sh looks for files that match this word"},
	},
	{
		trap: "a variable that a ! command sets is lost",
		text: "!addr=10.0.0.9/24\n!hello \"$addr\"\n",
		want: []string{`1 sh "addr=10.0.0.9/24"`, `2 sh "hello \"$addr\""`},
	},
	{
		trap: "several commands after an exclamation mark, until one that may change the rest",
		text: "!hello 1; hello 2; cd /; hello 3\n",
		want: []string{`1 ["hello" "1"]`, `1 ["hello" "2"]`, `1 sh "cd /; hello 3"`},
	},
	{
		trap:     "a NUL byte is dropped",
		text:     "u\x00p\n",
		want:     []string{`1 ["ifconfig" "wg0" "up"]`},
		problems: []string{"1:2: error: a NUL byte, which sh drops"},
	},
	{
		trap: "bytes that are not UTF-8 pass through",
		text: "descr \xe9t\xe9 été\n",
		want: []string{`1 ["ifconfig" "wg0" "descr" "\xe9t\xe9" "été"]`},
	},
	{
		trap: "quoting, backslashes and empty words",
		text: "descr \"a \\\"b\\\" \\c\" '' a\\ b 'c'\"d\"e \"\"\n",
		want: []string{`1 ["ifconfig" "wg0" "descr" "a \"b\" \\c" "" "a b" "cde" ""]`},
	},
	{
		trap: "a tilde, another shell's feature and a word that some shells reserve are left to the shell",
		text: "!hello ~/x\n!hello ${x/y/z}\n!hello 1; in\n",
		want: []string{`1 sh "hello ~/x"`, `2 sh "hello ${x/y/z}"`, `3 sh "hello 1; in"`},
	},
	{
		trap: "a dollar sign that some shells take for a quote, or for nothing",
		text: "!hello $'a'\n!hello \"a$\" \n!hello \"$(hello)\" \"${int:-x}\"\n",
		want: []string{`1 sh "hello $'a'"`, `2 sh "hello \"a$\""`, `3 sh "hello \"$(hello)\" \"${int:-x}\""`},
	},
	{
		trap:     "the place of a problem in a line that is continued is the line",
		text:     "mtu 1400 \\\n$UP\n",
		want:     []string{`1 sh "ifconfig wg0 mtu 1400 $UP"`},
		problems: []string{"1: warning: sh acts on $ before ifconfig sees the line"},
	},
	{
		trap: "a backslash before an empty line",
		text: "up \\\n\nmtu 1400\n",
		want: []string{`1 ["ifconfig" "wg0" "up"]`, `3 ["ifconfig" "wg0" "mtu" "1400"]`},
	},
	{
		trap: "an exclamation mark alone, twice, and before a comment",
		text: "!\n! # c\n!!hello\n",
		want: []string{`3 ["!hello"]`},
	},
	{
		trap: "an empty file",
		text: "",
	},
}

// show writes commands one on a line.
func show(cmds []netbsdcfg.Command) []string {
	var lines []string
	for _, c := range cmds {
		if c.Shell != "" {
			lines = append(lines, fmt.Sprintf("%d sh %q", c.Line, c.Shell))
		} else {
			lines = append(lines, fmt.Sprintf("%d %q", c.Line, c.Argv))
		}
	}
	return lines
}

func parse(t testing.TB, text string) *netbsdcfg.Ifconfig {
	t.Helper()
	f, err := netbsdcfg.ParseIfconfig("ifconfig.wg0", []byte(text))
	require.NoError(t, err)
	return f
}

func TestCommandsQuirks(t *testing.T) {
	for _, tt := range quirks {
		t.Run(tt.trap, func(t *testing.T) {
			assert.Equal(t, tt.want, show(parse(t, tt.text).Commands("wg0")))
		})
	}
}

func TestCheckReportsEachQuirk(t *testing.T) {
	for _, tt := range quirks {
		t.Run(tt.trap, func(t *testing.T) {
			problems(t, parse(t, tt.text), tt.problems...)
		})
	}
}

// problems compares what Check says with the beginnings of its lines.
func problems(t *testing.T, f *netbsdcfg.Ifconfig, want ...string) {
	t.Helper()
	got := f.Check()
	require.Len(t, got, len(want), "%s", got)
	for i, p := range got {
		assert.True(t, strings.HasPrefix(p.Error(), "ifconfig.wg0:"+want[i]), "got  %s\nwant %s", p, want[i])
	}
}

// These read their input, or not, whatever a stand-in in the test's shell does.
func TestProgramsThatReadTheRestOfTheFile(t *testing.T) {
	for text, want := range map[string]bool{
		"!tee /tmp/x":              true,
		"!/usr/bin/xargs hello":    true,
		"!ssh host uptime":         true,
		"!ssh -n host uptime":      false,
		"!sh":                      true,
		"!sh /etc/x":               false,
		"!head -n 5":               true,
		"!head -n 5 /etc/hosts":    false,
		"!cat /etc/x -":            true,
		"!wg-keygen":               false,
		"!wg-keygen 3</dev/null":   false,
		"!tee x 3</dev/null":       true,
		"!tee x &":                 false,
		"!tee $X":                  false, // perhaps
		"!read x; read y":          false, // perhaps
		"!read $X":                 false, // perhaps
		"!{ tee x; } </dev/null":   false,
		"!hello <<x | tee y":       false,
		"up; tee x":                true,
		"!while tee x; do :; done": false, // perhaps
	} {
		t.Run(text, func(t *testing.T) {
			cmds := parse(t, text+"\nmtu 1400\n").Commands("wg0")
			assert.Equal(t, want, !strings.HasSuffix(show(cmds)[len(cmds)-1], `"mtu" "1400"]`), "%v", show(cmds))
		})
	}
}

package netbsdcfg

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseModules(t *testing.T, text string) *Modules {
	t.Helper()
	m, err := ParseModules("modules.conf", []byte(text))
	require.NoError(t, err)
	require.Equal(t, text, string(m.Bytes()))
	return m
}

func TestModulesAreReadAsTheShellDoes(t *testing.T) {
	tests := []struct {
		name, in string
		want     []Module
	}{
		{"a module", "if_wg\n", []Module{{"if_wg", nil, 1}}},
		{"comments and blank lines are skipped", "# if_wg\n\n \t#x\nfoo\n", []Module{{"foo", nil, 4}}},
		{"a trailing comment works", "if_wg # tunnel\n", []Module{{"if_wg", nil, 1}}},
		{"arguments", "\tfoo  -f\t -b x=true # c\n", []Module{{"foo", []string{"-f", "-b", "x=true"}, 1}}},
		{"quotes in arguments", "foo -s x=\"a  b\" 'c'\n", []Module{{"foo", []string{"-s", "x=a b", "c"}, 1}}},
		{"a last line without newline is lost", "foo\nif_wg", []Module{{"foo", nil, 1}}},
		{"a last line that goes on is lost", "foo\nif_wg \\\n", []Module{{"foo", nil, 1}}},
		{"a backslash joins lines", "foo \\\n-f\nbar\n", []Module{{"foo", []string{"-f"}, 1}, {"bar", nil, 3}}},
		{"a comment that ends in a backslash swallows a line", "# c\\\nfoo\nbar\n", []Module{{"bar", nil, 3}}},
		{"a backslash takes a blank literally", "a\\ b c\n", []Module{{"a b", []string{"c"}, 1}}},
		{"what the shell would run stays as it stands", "foo x; reboot\n", []Module{{"foo", []string{"x;", "reboot"}, 1}}},
		{"a # in the name", "foo#x\n", []Module{{"foo#x", nil, 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, slices.Collect(parseModules(t, tt.in).All()))
		})
	}
	for range parseModules(t, "a\nb\n").All() {
		break // must not go on
	}
}

func TestModulesAdd(t *testing.T) {
	tests := []struct {
		name, in string
		args     []string
		want     string
	}{
		{"an empty file", "", nil, "if_wg\n"},
		{"no line is lost or glued", "# local\nfoo", nil, "# local\nfoo\nif_wg\n"},
		{"there already", "if_wg # tunnel\nfoo", nil, "if_wg # tunnel\nfoo"},
		{"there, but lost", "foo\nif_wg", nil, "foo\nif_wg\n"},
		{"there, but lost behind a backslash", "if_wg\\", nil, "if_wg\\\n\n"},
		{"commented out", "#if_wg\n", nil, "#if_wg\nif_wg\n"},
		{"a backslash at the end does not join it", "foo \\\n", nil, "foo \\\n\nif_wg\n"},
		{"arguments", "", []string{"-f", "x=1"}, "if_wg -f x=1\n"},
		{"there with other arguments, none asked for", "if_wg -f\n", nil, "if_wg -f\n"},
		{"there, but the shell refuses the line", "if_wg it's\n", nil, "if_wg it's\nif_wg\n"},
		{"CR LF is not taken for it", "if_wg\r\n", nil, "if_wg\r\nif_wg\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := parseModules(t, tt.in)
			require.NoError(t, m.Add("if_wg", tt.args...))
			assert.Equal(t, tt.want, string(m.Bytes()))
		})
	}
}

func TestModulesAddRefuses(t *testing.T) {
	m := parseModules(t, "foo -f\n")
	for _, words := range [][]string{
		{""}, {"-f"}, {"=x"}, {"#x"}, {"a b"}, {"a;reboot"}, {"a\nb"}, {"$(x)"}, {"\\"}, {"é"},
		{"a", ""}, {"a", "x y"}, {"a", "#"}, {"a", "`x`"}, {"a", "x\ny"}, {"foo", "-b"},
	} {
		var refused *ValueError
		assert.ErrorAs(t, m.Add(words[0], words[1:]...), &refused, "%q", words)
	}
	assert.Empty(t, m.Changes())
}

func TestModulesRemove(t *testing.T) {
	m := parseModules(t, "# a\nfoo\nif_wg -f # x\nbar \\\n-f\nif_wg\n")
	assert.False(t, m.Remove("wg"))
	assert.Empty(t, m.Changes())
	assert.True(t, m.Remove("if_wg"))
	assert.True(t, m.Remove("bar"))
	assert.Equal(t, "# a\nfoo\n", string(m.Bytes()))
}

func TestModulesCheck(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing to say", "# c\nif_wg\nfoo -f # c\n", ""},
		{"a last line without newline is lost", "foo\nif_wg", "2: error: the last line has no newline or ends in a backslash, so that rc.d/modules does not read it: end it with a newline, or if_wg is not loaded"},
		{"twice", "foo\nfoo -f\n", "2: warning: foo was loaded in line 1 already: remove one"},
		{"a backslash joins lines", "foo \\\n-f\n", "1: warning: a backslash joins this line with the next one: remove it if they are two"},
		{"a comment that ends in a backslash swallows a line", "# c \\\nfoo\n\\\n\nbar\n# d\\\n# e\\\nif_wg", "2: error: this line is part of the comment above, which ends in a backslash, and is not read: remove the backslash|" +
			"8: error: this line is part of the comment above, which ends in a backslash, and is not read: remove the backslash"},
		{"CR LF in the name", "if_wg\r\n", `1: error: the line ends in CR LF, and the CR becomes part of the last word: remove it`},
		{"CR LF in an argument", "if_wg -f\r\n", `1: error: the line ends in CR LF, and the CR becomes part of the last word: remove it`},
		{"a name that is none", "if_wg#tunnel\n", `1: error: "if_wg#tunnel" is no name of a module: write the name alone, and what else there is behind a blank`},
		{"a command", "foo $(reboot)\n", `1: error: "$(reboot)" is not plain words, and rc.d/modules has the shell run it: write words that need no quotes`},
		{"a quote that does not end", "foo it's\n", `1: error: the shell refuses "it's", and foo is not loaded: mend the quotes, or leave them out`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range parseModules(t, tt.in).Check() {
				got = append(got, strings.TrimPrefix(p.Error(), "modules.conf:"))
			}
			assert.Equal(t, tt.want, strings.Join(got, "|"))
		})
	}
}

func TestModulesFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "modules.conf")
	_, err := OpenModules(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	m, err := CreateModules(path)
	require.NoError(t, err)
	require.NoError(t, m.Add("if_wg"))
	require.NoError(t, m.Save(t.Context()))
	_, err = CreateModules(path)
	require.ErrorIs(t, err, fs.ErrExist)
	m, err = OpenModules(path)
	require.NoError(t, err)
	assert.Equal(t, "if_wg\n", string(m.Bytes()))
	require.NoError(t, os.WriteFile(path, []byte("\x00"), 0o644))
	_, err = OpenModules(path)
	var parse *ParseError
	require.ErrorAs(t, err, &parse)
}

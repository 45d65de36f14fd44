package netbsdcfg

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// rcKeys are the variables that the scripts of these tests use.
var rcKeys = []string{"a", "b", "c", "pf", "ifconfig_wg0"}

// runShell runs a script with the machine's own shell, in a directory that
// holds the given file and one that is called other, without any program.
func runShell(t *testing.T, script, name, text string) string {
	t.Helper()
	const sh = "/bin/sh"
	lab.Need(t, sh)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), []byte("a=other\n"), 0o644))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, sh, "-c", script)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + filepath.Join(dir, "none")}
	out, _ := cmd.Output() // the status is that of the script's last command
	require.NoError(t, ctx.Err())
	return string(out)
}

// sourced has the shell source a script, as rc(8) does, and returns the
// variables that are set then. died is true if the shell gave up.
func sourced(t *testing.T, text string) (vars map[string]string, died bool) {
	t.Helper()
	out := runShell(t, "trap 'for k in "+strings.Join(rcKeys, " ")+"; do eval \"s=\\${$k+x} v=\\$$k\"; printf \"%s %s\\0\" \"$s$k\" \"$v\"; done; printf \"%s\\0\" \"$done\"' EXIT\n"+
		". ./rc.conf >/dev/null\ndone=done\n", "rc.conf", text)
	words := strings.Split(out, "\x00")
	require.Len(t, words, len(rcKeys)+2, "%q", out)
	vars = map[string]string{}
	for i, key := range rcKeys {
		if value, ok := strings.CutPrefix(words[i], "x"+key+" "); ok {
			vars[key] = value
		}
	}
	return vars, words[len(rcKeys)] != "done"
}

// agrees checks that what Get knows is what the shell has assigned, and that
// the shell has not assigned what Get calls unassigned.
func agrees(t *testing.T, rc *RC) bool {
	t.Helper()
	vars, died := sourced(t, rc.text)
	s := rc.script()
	ok := true
	if s.err != nil {
		return assert.True(t, died || strings.Contains(rc.text, "<<"), "%q is refused, but the shell reads it", rc.text)
	}
	for _, key := range rcKeys {
		want, set := vars[key]
		got, known := rc.Get(key)
		if known {
			ok = assert.True(t, set && got == want, "%s is %q, the shell has %q (%v) for %q", key, got, want, set, rc.text) && ok
		} else if _, maybe := s.vars[key]; !maybe && !anything(s) {
			ok = assert.False(t, set, "%s is %q after %q", key, want, rc.text) && ok
		}
	}
	return ok
}

func anything(s *script) bool {
	for _, o := range s.others {
		if o.any {
			return true
		}
	}
	return false
}

// rcPieces are lines of which random scripts are made.
var rcPieces = []string{
	"a=1\n", "a=\n", "a=2 b=3\n", "a=4; b=5\n", "export a=6\n", "export a=7 b=\"8 9\" c\n", "a=\"x y\"\t# comment\n", "b='it is'\n",
	"a=\"it's \\\"\\$5\\\" \\\\ \\n\"\n", "b=x\\ y\\#\n", "b=one\\\ntwo\n", "c=\"line\nline\"\n", "a=x'y'\"z\" # a=0\n", "#a=9\n", "# b = 1\n",
	"#a=commented\n", "\t#a=\"in tab\"\n", "# rehost: a=marked\n", "a=$b\n", "a=`echo 1`\n", "b=$((1+1))\n", "c=~\n", "c=x:~\n", "a=$'x'\n", "a=x$\n",
	"if true; then a=cond; fi\n", "if [ -r ./other ]; then . ./other; fi\n", ". ./other\n", "eval a=evaluated\n", "a=pre :\n", "a=pre true\n",
	"a=pre nothere\n", "(a=sub)\n", "{ a=block; }\n", "a=1 && b=2\n", "unset a\n", "unset -v b c\n", "read a <<X\nread\nX\n", "cat <<X\na=heredoc\nX\n",
	": ${a:=default}\n", ": ${c=default}\n", ": $((a=3))\n", "for a in x y; do :; done\n", "f() { a=function; }\n", "f\n", "case x in x) b=case;; esac\n",
	"a+=1\n", "a = 1\n", "a-b=1\n", "! a=not\n", "a=bg &\n", "a=1 >/dev/null\n", "return\n", "\n", "a=x\r\n", "pf=YES\r\n", "a=\xc3\xa4\xff\x81\n", "pf=YES npf=NO\n",
	"ifconfig_wg0=\"inet 172.16.1.4/24; up\"\n", "readonly c=1\n", "while false; do a=loop; done\n", "a=x; # c\n", "  a=indented\n", "a=glob*\n", "export a=glob*\n", "a=1;b=2;a=3\n", "a=1 a=2\n",
}

func randomRC(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(rcPieces[r.IntN(len(rcPieces))])
	}
	text := b.String()
	if r.IntN(5) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

func randomValue(r *rand.Rand) string {
	const chars = "ab 01'\"\\$`#;&|<>(){}*?[]~!=-:/.%@^,+\u00e4\u20ac"
	runes := []rune(chars)
	var b strings.Builder
	for range r.IntN(12) {
		b.WriteRune(runes[r.IntN(len(runes))])
	}
	return b.String()
}

func TestRandomScriptsAndEditsAreWhatARealShellReads(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	done := map[string]int{}
	for range 300 {
		text := randomRC(r)
		rc := parseRC(t, text)
		if !agrees(t, rc) {
			return
		}
		before, _ := sourced(t, text)
		key := rcKeys[r.IntN(2)*r.IntN(len(rcKeys))]
		value, set, what, changed := randomValue(r), false, "", false
		switch r.IntN(5) {
		case 0, 1:
			what, set = "Set", true
			changed = rc.Set(key, value) == nil
		case 2:
			what, changed = "Comment", rc.Comment(key)
		case 3, 4:
			what, changed = "Uncomment", rc.Uncomment(key)
			value, set = rc.Get(key)
		}
		if !changed {
			require.Equal(t, text, rc.text, "%s failed and changed something", what)
			continue
		}
		done[what]++
		after, _ := sourced(t, rc.text)
		got, ok := after[key]
		if set || !anything(rc.script()) { // what ./other sets, Comment cannot prevent
			require.Equal(t, set, ok, "%s of %s made %q of %q", what, key, rc.text, text)
		}
		if set {
			require.Equal(t, value, got, "%s of %s made %q of %q", what, key, rc.text, text)
		}
		delete(before, key)
		delete(after, key)
		if !strings.Contains(text, key+"}") && !strings.Contains(text, "$"+key) { // no other value is made of it
			require.Equal(t, before, after, "%s of %s made %q of %q", what, key, rc.text, text)
		}
	}
	for _, what := range []string{"Set", "Comment", "Uncomment"} {
		assert.Positive(t, done[what], what)
	}
}

// rcModules is modules_start of NetBSD's rc.d/modules, with a modload that
// prints its arguments.
const rcModules = `
modload() { printf '<'; for a; do printf '%s|' "$a"; done; printf '>\n'; }
while read name args; do
	case $name in
	''|"#"*)
		;;
	*)
		(
			set -o noglob
			eval set -- $args
			modload "$@" "$name"
		)
		;;
	esac
done < ./modules.conf
`

func TestRandomModulesAreWhatARealShellLoads(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"if_wg", "foo", "-f", "x=1", " ", "  ", "\t", "\\", "\\\\", "\\\n", "\n", "\n", "\n", "#", " # c", "'a  b'", "\"c d\"", "=", "*"}
	for range 300 {
		var text strings.Builder
		for range r.IntN(14) {
			text.WriteString(pieces[r.IntN(len(pieces))])
		}
		m := parseModules(t, text.String())
		if slices.ContainsFunc(readModules(m.lines), func(e moduleEntry) bool { return e.shell }) {
			continue // All does not tell
		}
		var want strings.Builder
		for mod := range m.All() {
			fmt.Fprintf(&want, "<%s>\n", strings.Join(append(mod.Args, mod.Name, ""), "|"))
		}
		require.Equal(t, runShell(t, rcModules, "modules.conf", text.String()), want.String(), "%q", text.String())
	}
}

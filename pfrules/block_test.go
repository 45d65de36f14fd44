package pfrules

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func line(text string) string { return text + "\n" }

var (
	via     = []Rule{ReplyVia("wg0", gw4, "tcp", "udp")}
	viaText = "pass in on wg0 reply-to (wg0 172.16.1.1) inet proto { tcp udp } from any to any"
	uplink  = line("# rehost uplink begin") + line(viaText) + line("# rehost uplink end")
)

func TestSetBlockAtEachPlace(t *testing.T) {
	head := "# all\n\nset skip on lo0\nnat on em0 -> (em0)\n\n"
	for _, tt := range []struct {
		name      string
		at        Place
		text, out string
	}{
		{"start, above the comment of the first rule", FilterStart, head + "# rules\nblock\npass\n", head + uplink + "# rules\nblock\npass\n"},
		{"start, an anchor is a filter statement", FilterStart, head + "anchor x\npass\n", head + uplink + "anchor x\npass\n"},
		{"start, first line", FilterStart, "block\n", uplink + "block\n"},
		{"start, no rules", FilterStart, head, head + uplink},
		{"start, before another block", FilterStart, head + "# a\n# rehost x begin\n# c\npass\n# rehost x end\n", head + "# a\n" + uplink + "# rehost x begin\n# c\npass\n# rehost x end\n"},
		{"end, after the last rule", FilterEnd, head + "pass\nblock \\\n in\n# last\n", head + "pass\nblock \\\n in\n" + uplink + "# last\n"},
		{"end, after another block", FilterEnd, head + "# rehost x begin\npass\n# rehost x end\n\n", head + "# rehost x begin\npass\n# rehost x end\n" + uplink + "\n"},
		{"end, an empty file", FilterEnd, "", uplink},
		{"end, no newline at the end", FilterEnd, "pass", "pass\n" + uplink},
		{"end, after an include", FilterEnd, "pass\ninclude \"/etc/pf.more\"\n# x\n", "pass\ninclude \"/etc/pf.more\"\n" + uplink + "# x\n"},
		{"before a line", Before(2), "block\npass\n", "block\n" + uplink + "pass\n"},
		{"before the line after the last", Before(3), "block\npass\n", "block\npass\n" + uplink},
		{"a CRLF file gets plain newlines", FilterEnd, "pass\r\n", "pass\r\n" + uplink},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, FreeBSD, tt.text)
			require.NoError(t, f.SetBlock("uplink", tt.at, via))
			assert.Equal(t, tt.out, string(f.Bytes()))

			again := parse(t, FreeBSD, tt.out)
			rules, ok, err := again.Block("uplink")
			require.NoError(t, err)
			assert.True(t, ok)
			assert.Equal(t, via, rules)
			require.NoError(t, again.SetBlock("uplink", tt.at, via))
			assert.Empty(t, again.Changes(), "setting what is there changes nothing")

			assert.True(t, f.RemoveBlock("uplink"))
			want := tt.text
			if want != "" && !strings.HasSuffix(want, "\n") {
				want += "\n"
			}
			assert.Equal(t, want, string(f.Bytes()), "the way back")
			assert.False(t, f.RemoveBlock("uplink"))
		})
	}
}

// A failed edit leaves the file as it was.
func TestSetBlockRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		d          Dialect
		block      string
		at         Place
		rules      []Rule
		want       string
	}{
		{"a name with a blank", "pass\n", NetBSD, "up link", FilterEnd, via, "letters"},
		{"a name with a newline", "pass\n", NetBSD, "up\npass", FilterEnd, via, "letters"},
		{"no name", "pass\n", NetBSD, "", FilterEnd, via, "letters"},
		{"a rule that cannot be written", "pass\n", NetBSD, "x", FilterEnd, []Rule{via[0], {}}, "rule 2"},
		{"inside a statement", "pass in \\\n on wg0\n", NetBSD, "x", Before(2), via, "backslash"},
		{"inside a list", "pass on {\nwg0\n}\n", FreeBSD, "x", Before(2), via, "inside the statement from line 1 to 3"},
		{"after a list that is not closed", "pass on {\nblock\n", FreeBSD, "x", Before(2), via, "not closed"},
		{"inside a quote", "a = \"x\ny\"\n", NetBSD, "x", Before(2), via, "inside the statement"},
		{"inside a comment that goes on", "# c \\\n\npass\n", NetBSD, "x", Before(2), via, "backslash"},
		{"inside a block", "# rehost y begin\npass\n# rehost y end\n", NetBSD, "x", Before(2), via, "inside block y"},
		{"at the end of a block", "# rehost y begin\npass\n# rehost y end\n", NetBSD, "x", Before(3), via, "inside block y"},
		{"before translation", "scrub in\nnat on em0 -> (em0)\npass\n", NetBSD, "x", Before(2), via, "translation in line 2"},
		{"before an option", "set timeout interval 10\npass\n", FreeBSD, "x", Before(1), via, "options in line 1"},
		{"sections already out of order", "pass\nnat on em0 -> (em0)\n", FreeBSD, "x", FilterStart, via, "translation in line 2"},
		{"line 0", "pass\n", NetBSD, "x", Before(0), via, "lines 1 to 1"},
		{"past the end", "pass\n", NetBSD, "x", Before(3), via, "lines 1 to 1"},
		{"after a backslash at the end", "pass \\", NetBSD, "x", FilterEnd, via, "backslash"},
		{"after a backslash and a newline at the end", "pass\n# c \\\n", NetBSD, "x", Before(3), via, "backslash"},
		{"marks: no end", "# rehost x begin\npass\n", NetBSD, "x", FilterEnd, via, "no end"},
		{"marks: no begin", "pass\n# rehost x end\n", NetBSD, "x", FilterEnd, via, "not begun"},
		{"marks: twice", "# rehost x begin\n# rehost x end\n# rehost x begin\n# rehost x end\n", NetBSD, "x", FilterEnd, via, "twice"},
		{"marks: another inside", "# rehost x begin\n# rehost y begin\n# rehost y end\n# rehost x end\n", NetBSD, "x", FilterEnd, via, "before another"},
		{"marks: part of a line", "\\\n# rehost x begin\n# rehost x end\n", NetBSD, "x", FilterEnd, via, "continued"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.d, tt.text)
			assert.ErrorContains(t, f.SetBlock(tt.block, tt.at, tt.rules), tt.want)
			assert.Equal(t, tt.text, string(f.Bytes()))
			if strings.HasPrefix(tt.name, "marks") {
				_, _, err := f.Block(tt.block)
				assert.ErrorContains(t, err, "pf.conf:")
				assert.False(t, f.RemoveBlock(tt.block))
				assert.ErrorContains(t, f.Check().Err(), tt.want)
				assert.Equal(t, tt.text, string(f.Bytes()))
			}
		})
	}
}

// A broken block does not break the one that follows.
func TestBlockBesideBrokenMarks(t *testing.T) {
	text := "# rehost y begin\npass\n# rehost x begin\nblock\n# rehost x end\n# rehost y end\n"
	f := parse(t, NetBSD, text)
	require.NoError(t, f.SetBlock("x", FilterEnd, via))
	assert.Equal(t, strings.Replace(text, "block", viaText, 1), string(f.Bytes()))
	_, _, err := f.Block("y")
	assert.EqualError(t, err, "pf.conf:1: block y is not ended before another begins")
}

// Where the dialect has no order of sections, or the file has put it off, a rule
// may stand above translation.
func TestPlaceWithoutSectionOrder(t *testing.T) {
	text := "set timeout interval 10\nqueue q on em0 bandwidth 1G default\npass\n"
	f := parse(t, OpenBSD, text)
	require.NoError(t, f.SetBlock("uplink", Before(1), via))
	assert.Equal(t, "# rehost uplink begin\npass in on wg0 inet proto { tcp udp } from any to any reply-to 172.16.1.1\n# rehost uplink end\n"+text, string(f.Bytes()))

	text = "set require-order no\npass\nnat on em0 -> (em0)\n"
	f = parse(t, NetBSD, text)
	require.NoError(t, f.SetBlock("uplink", FilterStart, via))
	assert.Equal(t, "set require-order no\n"+uplink+"pass\nnat on em0 -> (em0)\n", string(f.Bytes()))

	f = parse(t, NetBSD, "pass\nset skip on lo0\n")
	assert.NoError(t, f.SetBlock("uplink", Before(1), via), "set skip has no place in the order")
}

func TestBlockKeepsItsPlaceAndOtherLines(t *testing.T) {
	text := "# a\nblock # b\n\n# rehost uplink begin\n# by hand\npass in \\\n\ton wg0\n# rehost uplink end\npass out # c\n"
	f := parse(t, NetBSD, text)
	require.NoError(t, f.SetBlock("uplink", FilterEnd, []Rule{{Action: Pass, Direction: In, Ifaces: []Iface{{Name: "wg0"}}}}))
	assert.Empty(t, f.Changes(), "the same rule, written otherwise")

	require.NoError(t, f.SetBlock("uplink", FilterEnd, via))
	assert.Equal(t, "# a\nblock # b\n\n"+uplink+"pass out # c\n", string(f.Bytes()))

	require.NoError(t, f.SetBlock("uplink", FilterEnd, nil))
	rules, ok, err := f.Block("uplink")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Empty(t, rules)
	assert.Equal(t, "# a\nblock # b\n\n# rehost uplink begin\n# rehost uplink end\npass out # c\n", string(f.Bytes()))

	_, ok, err = f.Block("other")
	assert.NoError(t, err)
	assert.False(t, ok)
}

func TestBlockWithMoreThanRules(t *testing.T) {
	f := parse(t, NetBSD, "# rehost x begin\nset skip on lo0\n# rehost x end\n")
	_, ok, err := f.Block("x")
	assert.True(t, ok)
	assert.EqualError(t, err, "pf.conf:2:1: block x holds more than rules: not modelled: \"set\" begins no pass, block or match rule")
	require.NoError(t, f.SetBlock("x", FilterEnd, via), "the block is ours")
	assert.NotContains(t, string(f.Bytes()), "skip")

	f = parse(t, NetBSD, "# rehost x begin\na = b\n# rehost x end\n")
	_, _, err = f.Block("x")
	assert.EqualError(t, err, "pf.conf:2: block x holds more than rules: macro a")
}

// A mark in a list, a quote or after a statement is none.
func TestMarkIsALineOfItsOwn(t *testing.T) {
	for _, text := range []string{
		"pass on {\n# rehost x begin\nwg0 }\n# rehost y end too\n",
		"pass # rehost x begin\n",
		"a = \"\n# rehost x begin\n\"\n",
		"# rehost x begins\n# rehost begin\n# rehost x! begin\n#rehost x begin\n",
	} {
		f := parse(t, FreeBSD, text)
		_, ok, err := f.Block("x")
		assert.NoError(t, err, text)
		assert.False(t, ok)
	}
	f := parse(t, FreeBSD, "\t# rehost x begin\r\npass\n  # rehost x end \n")
	rules, ok, err := f.Block("x")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Len(t, rules, 1)
}

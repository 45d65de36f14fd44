package netbsdcfg

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRCCommentAndBack(t *testing.T) {
	tests := []struct{ name, in, commented string }{
		{"a line", "a=1\nb=2\n", "#a=1\nb=2\n"},
		{"its comment", "a=\"1\"\t# why\n", "#a=\"1\"\t# why\n"},
		{"indented", "\t a=1\n", "\t #a=1\n"},
		{"without newline", "b=2\na=1", "b=2\n#a=1"},
		{"export", "export a=1\n", "#export a=1\n"},
		{"a semicolon behind it", "a=1; # x\n", "#a=1; # x\n"},
		{"CR LF", "a=1\r\nb=2\r\n", "#a=1\r\nb=2\r\n"},
		{"all of several, so that none comes back", "a=1\nb=2\na=3\n", "# rehost: a=1\nb=2\n# rehost: a=3\n"},
		{"above another that is commented out", "a=1\n#a=2\n", "# rehost: a=1\n#a=2\n"},
		{"below another that is commented out", "#a=2\na=1\n", "#a=2\n#a=1\n"},
		{"prose about it", "a=1\n# a=2 would be wrong\n", "#a=1\n# a=2 would be wrong\n"},
		{"a comment that ends in a backslash", "# c\\\na=1 # x\\\nb=2\n", "# c\\\n#a=1 # x\\\nb=2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rc := parseRC(t, tt.in)
			require.True(t, rc.Comment("a"))
			assert.Equal(t, tt.commented, string(rc.Bytes()))
			_, ok := rc.Get("a")
			assert.False(t, ok)
			assert.False(t, rc.Comment("a"))
			rc = parseRC(t, tt.commented) // also after the file was saved
			require.True(t, rc.Uncomment("a"))
			assert.Equal(t, tt.in, string(rc.Bytes()))
			assert.False(t, rc.Uncomment("a"))
		})
	}
}

func TestRCCommentRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"what is not there":                "b=1\n",
		"one that shares its line":         "a=1 b=2\n",
		"one that shares its line by ;":    "a=1; b=2\n",
		"one that goes on over lines":      "a='x\ny'\n",
		"what a conditional sets as well":  "a=1\nif x; then a=2; fi\n",
		"what is no plain assignment":      "a=$b\n",
		"one of two that shares its line":  "a=1\nb=1 a=2\n",
		"one behind which a line goes on":  "a=1 \\\n\n",
		"one above a loop that assigns it": "a=1\nfor a in 1; do :; done\n",
	} {
		t.Run(name, func(t *testing.T) {
			rc := parseRC(t, text)
			assert.False(t, rc.Comment("a"))
			assert.Equal(t, text, string(rc.Bytes()))
		})
	}
}

func TestRCUncomment(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"a # and a blank", "# a=1 # x\n", "a=1 # x\n"},
		{"the last of several", "#a=1\n#a=2\n#b=3\n", "#a=1\na=2\n#b=3\n"},
		{"what Comment has marked before others", "# rehost: a=1\n#a=2\n", "a=1\n#a=2\n"},
		{"export", "#export a=1\n", "export a=1\n"},
		{"not prose", "# a=1 is the default\n", ""},
		{"not with others on the line", "#a=1 b=2\n", ""},
		{"not another variable", "#ba=1\n", ""},
		{"not what would be expanded", "#a=$b\n", ""},
		{"not what would join the next line", "#a=1 \\\nb=2\n", ""},
		{"not in a conditional", "if x; then\n#a=1\n:\nfi\n", ""},
		{"not in a here-document", "cat <<X\n#a=1\nX\n", ""},
		{"not behind a command", "b=1 #a=1\n", ""},
		{"not behind an exit", "exit\n#a=1\n", ""},
		{"not if it is assigned", "a=1\n#a=2\n", ""},
		{"not what would override nothing", "#a=1\n. x\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rc := parseRC(t, tt.in)
			assert.Equal(t, tt.want != "", rc.Uncomment("a"))
			if tt.want == "" {
				tt.want = tt.in
			}
			assert.Equal(t, tt.want, string(rc.Bytes()))
		})
	}
}

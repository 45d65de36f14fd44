package netbsdcfg

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseSysctl(t *testing.T, os OS, text string) *Sysctl {
	t.Helper()
	s, err := ParseSysctl("sysctl.conf", os, []byte(text))
	require.NoError(t, err)
	require.Equal(t, text, string(s.Bytes()))
	return s
}

func TestSysctlGet(t *testing.T) {
	tests := []struct {
		name     string
		os       OS
		in, want string // a.b=x c.d=y
	}{
		{"a line", NetBSD, "a.b=1\n", "a.b=1"},
		{"no newline at the end", NetBSD, "a.b=1", "a.b=1"},
		{"the last one wins", NetBSD, "a.b=1\nc.d=2\na.b=3\n", "c.d=2 a.b=3"},
		{"comments", NetBSD, "# c\na.b=1 # x\nc.d=x# y\n", "a.b=1 c.d=x"},
		{"a # behind a backslash is none", NetBSD, "a.b=1\\#2\n", `a.b=1\#2`},
		{"a backslash joins lines", NetBSD, "a.b=1\\\n2\nc.d=3\n", "a.b=12 c.d=3"},
		{"two backslashes do not", NetBSD, "a.b=1\\\\\nc.d=3\n", `a.b=1\\ c.d=3`},
		{"a comment that ends in a backslash does not", NetBSD, "a.b=1 # x\\\nc.d=3\n", "a.b=1 c.d=3"},
		{"a comment ends a joined line", NetBSD, "a.b=1\\\n# c\nc.d=2\n", "a.b=1 c.d=2"},
		{"a backslash at the end of the file", NetBSD, "a.b=1\\", "a.b=1"},
		{"optional", NetBSD, "a.b?=1\n", "a.b=1"},
		{"slashes", NetBSD, "a/b=1\n", "a.b=1"},
		{"blanks behind the =", NetBSD, "a.b= 1\n", "a.b=1"},
		{"blanks behind a number", NetBSD, "a.b=0x1F \n", "a.b=0x1F"},
		{"a name alone", NetBSD, "a.b\n", ""},
		{"made and destroyed", NetBSD, "//create=a,type=int\n..destroy=a\n", ""},
		{"a line", Linux, "a.b=1\n", "a.b=1"},
		{"blanks around the =", Linux, " a.b = 1\t\n", "a.b=1"},
		{"comments", Linux, "# c\n ; c\na.b=1\n", "a.b=1"},
		{"a comment behind a value is part of it", Linux, "a.b=1 # x\n", "a.b=1 # x"},
		{"a backslash joins nothing", Linux, "a.b=1\\\nc.d=2\n", `a.b=1\ c.d=2`},
		{"errors forgiven", Linux, "-a.b=1\n", "a.b=1"},
		{"slashes", Linux, "net/ipv4/conf/eth0.5/forwarding=1\n", "net.ipv4.conf.eth0/5.forwarding=1"},
		{"CR LF", Linux, "a.b=1\r\n", "a.b=1"},
		{"no value", Linux, "a.b=\n=1\n-x.y\nz\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.os.String()+" "+tt.name, func(t *testing.T) {
			s := parseSysctl(t, tt.os, tt.in)
			var all []string
			for name, value := range s.All() {
				got, ok := s.Get(name)
				assert.True(t, ok)
				assert.Equal(t, value, got)
				all = append(all, name+"="+value)
			}
			assert.Equal(t, tt.want, strings.Join(all, " "))
		})
	}
	t.Run("a string keeps its blanks in NetBSD", func(t *testing.T) {
		got, _ := parseSysctl(t, NetBSD, "kern.defcorename=x  # c\n").Get("kern.defcorename")
		assert.Equal(t, "x  ", got)
	})
	for range parseSysctl(t, NetBSD, "a.b=1\nc.d=2\n").All() {
		break // must not go on
	}
}

func TestSysctlSet(t *testing.T) {
	tests := []struct {
		name          string
		os            OS
		in, key, want string // the value 2
	}{
		{"keeps the comment", NetBSD, "a.b=1\t# why\nc.d=1\n", "a.b", "a.b=2\t# why\nc.d=1\n"},
		{"the one that counts", NetBSD, "a.b=1\na.b=3\n", "a.b", "a.b=1\na.b=2\n"},
		{"a joined line", NetBSD, "a.b=\\\n1\nc.d=1\n", "a.b", "a.b=2\nc.d=1\n"},
		{"optional", NetBSD, "a.b?=1\n", "a.b", "a.b?=2\n"},
		{"a string with a comment", NetBSD, "a.b=x # why\n", "a.b", "a.b=2# why\n"},
		{"adds", NetBSD, "a.b=1", "c.d", "a.b=1\nc.d=2\n"},
		{"adds behind a backslash", NetBSD, "a.b=1\\\n", "c.d", "a.b=1\\\n\nc.d=2\n"},
		{"blanks around the =", Linux, "\ta.b = 1\n", "a.b", "\ta.b = 2\n"},
		{"errors forgiven, slashes", Linux, "-a/b=1\n", "a.b", "-a/b=2\n"},
		{"adds", Linux, "; c\n", "a.b", "; c\na.b=2\n"},
		{"CR LF", Linux, "a.b=1\r\nc.d=1\r\n", "a.b", "a.b=2\nc.d=1\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.os.String()+" "+tt.name, func(t *testing.T) {
			s := parseSysctl(t, tt.os, tt.in)
			require.NoError(t, s.Set(tt.key, "2"))
			assert.Equal(t, tt.want, string(s.Bytes()))
			require.NoError(t, s.Set(tt.key, "2"))
			assert.Equal(t, tt.want, string(s.Bytes()))
		})
	}
	t.Run("a string leaves no blank before the comment", func(t *testing.T) {
		s := parseSysctl(t, NetBSD, "kern.hostname=1 # c\n")
		require.NoError(t, s.Set("kern.hostname", "senate"))
		assert.Equal(t, "kern.hostname=senate# c\n", string(s.Bytes()))
		got, _ := s.Get("kern.hostname")
		assert.Equal(t, "senate", got)
	})
}

func TestSysctlSetRefuses(t *testing.T) {
	for _, tt := range []struct {
		os          OS
		name, value string
	}{
		{NetBSD, "", "1"}, {NetBSD, "forwarding", "1"}, {NetBSD, "a..b", "1"}, {NetBSD, "a/b", "1"}, {NetBSD, "a.b=2\nc.d", "1"},
		{NetBSD, "-a.b", "1"}, {NetBSD, "a.b c", "1"}, {NetBSD, "//create", "1"}, {NetBSD, "a.b?", "1"},
		{NetBSD, "a.b", ""}, {NetBSD, "a.b", " 1"}, {NetBSD, "a.b", "1 "}, {NetBSD, "a.b", "1\n2"}, {NetBSD, "a.b", "1#2"}, {NetBSD, "a.b", `1\`},
		{Linux, "a.b", "1 # x"}, {Linux, "a.b", "1\r"}, {Linux, "a.b", "\xff"}, {Linux, "#a.b", "1"},
		{NetBSD, "net.ipv4.ip_forward", "1"}, {Linux, "net.inet.ip.forwarding", "1"},
	} {
		s := parseSysctl(t, tt.os, "x.y=1\n")
		var refused *ValueError
		assert.ErrorAs(t, s.Set(tt.name, tt.value), &refused, "%v %q=%q", tt.os, tt.name, tt.value)
		assert.Empty(t, s.Changes())
	}
}

func TestSysctlUnset(t *testing.T) {
	s := parseSysctl(t, NetBSD, "# c\na.b=1\nc.d=1\\\n2\na/b=3 # x\n")
	assert.False(t, s.Unset("x.y"))
	assert.True(t, s.Unset("a.b"))
	assert.Equal(t, "# c\nc.d=1\\\n2\n", string(s.Bytes()))
	assert.True(t, s.Unset("c.d"))
	assert.Equal(t, "# c\n", string(s.Bytes()))
}

func TestSysctlCheck(t *testing.T) {
	tests := []struct {
		name     string
		os       OS
		in, want string
	}{
		{"nothing to say", NetBSD, "# c\nnet.inet.ip.forwarding=1 # on\n//create=x\n", ""},
		{"nothing to say", Linux, "; c\nnet.ipv4.ip_forward = 1\n-kernel.x=1\n-net.ipv4.conf.eth0.rp_filter\n", ""},
		{"a Linux name in a file of NetBSD", NetBSD, "net.ipv4.ip_forward=1\n", "1: error: net.ipv4.ip_forward is a name of Linux, not of NetBSD: net.inet.ip.forwarding is meant"},
		{"a NetBSD name in a file of Linux", Linux, "net.inet.ip.forwarding=1\n", "1: error: net.inet.ip.forwarding is a name of NetBSD, not of Linux: net.ipv4.ip_forward is meant"},
		{"IPv6 in a file of NetBSD", NetBSD, "net/ipv6/conf/all/forwarding=1\n", "1: error: net.ipv6.conf.all.forwarding is a name of Linux, not of NetBSD: net.inet6.ip6.forwarding is meant"},
		{"IPv6 in a file of Linux", Linux, "net.inet6.ip6.forwarding=1\n", "1: error: net.inet6.ip6.forwarding is a name of NetBSD, not of Linux: net.ipv6.conf.all.forwarding is meant"},
		{"one without a counterpart", Linux, "kern.mbuf.nmbclusters=1\n", "1: error: kern.mbuf.nmbclusters is a name of NetBSD, not of Linux"},
		{"twice", NetBSD, "a.b=1\na/b=2\n", "1: warning: a.b is set again in line 2, which counts: remove one"},
		{"a blank before the =", NetBSD, "a.b =1\n", `1: error: "a.b " has a blank before the =, and sysctl(8) takes it for part of the name: remove it`},
		{"a string in CR LF", NetBSD, "a.b=x\r\nc.d=1\r\n", "1: error: the line ends in CR LF, and the CR becomes part of the value: remove it"},
		{"blanks behind a string", NetBSD, "a.b=x # c\n", `1: warning: the blanks at the end of "x " become part of the value: remove them`},
		{"blanks alone", NetBSD, "  # c\n", "1: warning: blanks alone, which sysctl(8) takes for a name, with a complaint: remove them"},
		{"a name alone", NetBSD, "a.b\n", `1: error: "a.b" sets nothing, for it has no name or no value: write name=value, or make it a comment`},
		{"a comment behind a value", Linux, "a.b=1 # c\n", `1: error: a comment must be a line of its own: this one becomes part of the value "1 # c"`},
		{"no value", Linux, "a.b=\n-c.d=\n", `1: error: "a.b" sets nothing, for it has no name or no value: write name=value, or make it a comment|2: error: "-c.d" sets nothing, for it has no name or no value: write name=value, or make it a comment`},
	}
	for _, tt := range tests {
		t.Run(tt.os.String()+" "+tt.name, func(t *testing.T) {
			var got []string
			for _, p := range parseSysctl(t, tt.os, tt.in).Check() {
				got = append(got, strings.TrimPrefix(p.Error(), "sysctl.conf:"))
			}
			assert.Equal(t, tt.want, strings.Join(got, "|"))
		})
	}
}

func TestSysctlOfNoSystem(t *testing.T) {
	var refused *ValueError
	_, err := ParseSysctl("sysctl.conf", 0, nil)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, `OS: "OS(0)": is neither NetBSD nor Linux`, err.Error())
}

func TestSysctlFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sysctl.conf")
	_, err := OpenSysctl(path, Linux)
	require.ErrorIs(t, err, fs.ErrNotExist)
	s, err := CreateSysctl(path, Linux)
	require.NoError(t, err)
	require.NoError(t, s.Set("net.ipv4.ip_forward", "1"))
	require.NoError(t, s.Save(t.Context()))
	_, err = CreateSysctl(path, Linux)
	require.ErrorIs(t, err, fs.ErrExist)
	s, err = OpenSysctl(path, Linux)
	require.NoError(t, err)
	assert.Equal(t, "net.ipv4.ip_forward=1\n", string(s.Bytes()))
}

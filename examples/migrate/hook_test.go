package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheckHook(t *testing.T) {
	const doubles = "each start of the interface appends this rule again"
	tests := []struct{ name, script, want string }{
		{"appended", "iptables -A FORWARD -j ACCEPT\n", doubles},
		{"appended in IPv6, by its path", "/usr/sbin/ip6tables -t nat -A POSTROUTING -j MASQUERADE\n", doubles},
		{"appended to another's output", "echo up; if true; then iptables -A FORWARD -j ACCEPT; fi\n", doubles},
		{"looked for before", "iptables -C FORWARD -j ACCEPT || iptables -A FORWARD -j ACCEPT\n", ""},
		{"looked for before, in other words", "if ! iptables -C FORWARD -j ACCEPT; then\n\tiptables -A FORWARD -j ACCEPT\nfi\n", ""},
		{"flushed before", "iptables -t nat -F\niptables -t nat -A POSTROUTING -j MASQUERADE\n", ""},
		{"listed", "iptables -S\n", ""},
		{"an address from /etc/hosts", "DSTIP=$(grep senate /etc/hosts | cut -f1)\n", "DSTIP is empty where the host is not known"},
		{"an address from getent", "to=`getent hosts senate`\n", "to is empty where the host is not known"},
		{"an address that is there", "DSTIP=172.16.1.4\n", ""},
		{"no script", "\x7fELF ((", ""},
	}
	for _, tt := range tests {
		problems := checkHook("hook", []byte(tt.script))
		if tt.want == "" {
			assert.Empty(t, problems, tt.name)
			continue
		}
		if assert.Len(t, problems, 1, tt.name) {
			assert.Contains(t, problems[0].Message, tt.want, tt.name)
		}
	}
}

func TestCheckRules(t *testing.T) {
	text := "*filter\n-A INPUT -j DROP\nCOMMIT\n*nat\n-A INPUT -j DROP\n-A POSTROUTING -j RETURN\n  -A INPUT -j DROP\nCOMMIT\n"
	problems := checkRules("rules.v4", []byte(text))
	if assert.Len(t, problems, 1, "the other one is in another table") {
		assert.Equal(t, 7, problems[0].Line)
		assert.Contains(t, problems[0].Message, "the rule of line 5")
	}
}

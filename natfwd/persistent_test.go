package natfwd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mailOnly is a set with one rule in IPv4.
func mailOnly() Set {
	return Set{Name: "mail", Forwards: []Forward{{
		Proto: TCP, Iface: "ens5", Ports: []PortRange{{First: 25}}, To: []netip.Addr{netip.MustParseAddr("10.77.0.2")},
	}}}
}

const (
	mailChain = ":rehost-mail-pre - [0:0]\n"
	mailRules = "-A PREROUTING -j rehost-mail-pre\n-A rehost-mail-pre -i ens5 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.77.0.2\n"
	builtins  = ":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
)

func TestRender(t *testing.T) {
	tests := []struct {
		name, present, want string
	}{
		{"no file", "", "*nat\n" + builtins + mailChain + mailRules + "COMMIT\n"},
		{"another table", "*filter\n:INPUT DROP [12:345]\n-A INPUT -i lo -j ACCEPT\nCOMMIT",
			"*filter\n:INPUT DROP [12:345]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n*nat\n" + builtins + mailChain + mailRules + "COMMIT\n"},
		{"an empty table", "*nat\nCOMMIT\n", "*nat\n" + mailChain + mailRules + "COMMIT\n"},
		{"others' rules and comments", "# mine\n*nat\n:PREROUTING ACCEPT [0:0]\n\n# web\n[1:60] -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080\n:late - [0:0]\nCOMMIT\n# end\n",
			"# mine\n*nat\n:PREROUTING ACCEPT [0:0]\n" + mailChain + mailRules + "\n# web\n[1:60] -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8080\n:late - [0:0]\nCOMMIT\n# end\n"},
		{"an older form", "*nat\n:rehost-mail-pre - [0:0]\n:rehost-mail-post - [0:0]\n:rehost-mail-2-pre - [0:0]\n-A PREROUTING -j rehost-mail-2-pre\n-A PREROUTING -i ens5 -j rehost-mail-pre\n-A rehost-mail-pre -p tcp -j DNAT --to-destination 10.77.0.9\n-A POSTROUTING -j rehost-mail-post\nCOMMIT\n",
			"*nat\n:rehost-mail-2-pre - [0:0]\n" + mailChain + mailRules + "-A PREROUTING -j rehost-mail-2-pre\nCOMMIT\n"},
		{"the set in other words", "*nat\n" + mailChain + "-A rehost-mail-pre -p tcp -i ens5 --dport smtp -j DNAT --to-destination 10.77.0.2\n-A PREROUTING -j rehost-mail-pre\nCOMMIT\n",
			"*nat\n" + mailChain + "-A rehost-mail-pre -p tcp -i ens5 --dport smtp -j DNAT --to-destination 10.77.0.2\n-A PREROUTING -j rehost-mail-pre\nCOMMIT\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := mailOnly().Render(IPv4, []byte(tt.present))
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(o.Data))
			assert.Equal(t, "/etc/iptables/rules.v4 (0640)", o.String())
			again, err := mailOnly().Render(IPv4, o.Data)
			require.NoError(t, err)
			assert.Equal(t, o, again)

			gone, err := Set{Name: "mail"}.Render(IPv4, o.Data)
			require.NoError(t, err)
			for line := range strings.Lines(tt.want) {
				kept := !strings.Contains(line, "rehost-mail-pre")
				assert.Equal(t, kept, strings.Contains(string(gone.Data), line), line)
			}
		})
	}

	o, err := mailOnly().Render(IPv6, nil)
	require.NoError(t, err)
	assert.Equal(t, "/etc/iptables/rules.v6 (0640)", o.String())
	assert.Empty(t, o.Data)
}

func TestRenderRefuses(t *testing.T) {
	for present, want := range map[string]string{
		"*nat\nCOMMIT\n*nat\nCOMMIT\n":       "/etc/iptables/rules.v4:3: a second table nat",
		"*nat\n":                             "/etc/iptables/rules.v4:1: ",
		"-A PREROUTING -j ACCEPT\n":          "/etc/iptables/rules.v4:1: ",
		"*nat\n:PREROUTING\nCOMMIT\n":        "/etc/iptables/rules.v4:2: ",
		"*nat\n-A POSTROUTING \"x\nCOMMIT\n": "/etc/iptables/rules.v4:2: ",
	} {
		_, err := mailOnly().Render(IPv4, []byte(present))
		var parse *ParseError
		require.ErrorAs(t, err, &parse, present)
		assert.ErrorContains(t, err, want)
	}
	_, err := Set{}.Render(IPv4, nil)
	assert.ErrorContains(t, err, "name")
}

package natfwd

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

func TestInboundRules(t *testing.T) {
	s := mail()
	s.Forwards[0].Ports = []PortRange{{First: 25}, {8000, 8010}}
	s.Forwards = append(s.Forwards, Forward{
		Proto: TCP, Iface: "ens5", Ports: []PortRange{{First: 993}},
		To:   []netip.Addr{netip.MustParseAddr("10.77.0.2")},
		From: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("192.0.2.0/24")},
	})
	got, err := s.InboundRules(Port{UDP, 51820}, Port{TCP, 80}, Port{TCP, 25}, Port{TCP, 80})
	require.NoError(t, err)
	const both = `
		"IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "rehost senate"}],
		"Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "rehost senate"}]`
	assert.JSONEq(t, `[
		{"IpProtocol": "tcp", "FromPort": 25, "ToPort": 25,`+both+`},
		{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80,`+both+`},
		{"IpProtocol": "tcp", "FromPort": 993, "ToPort": 993, "IpRanges": [
			{"CidrIp": "192.0.2.0/24", "Description": "rehost senate"},
			{"CidrIp": "198.51.100.0/24", "Description": "rehost senate"}]},
		{"IpProtocol": "tcp", "FromPort": 8000, "ToPort": 8010,`+both+`},
		{"IpProtocol": "udp", "FromPort": 53, "ToPort": 53,`+both+`},
		{"IpProtocol": "udp", "FromPort": 51820, "ToPort": 51820,`+both+`}
	]`, string(got))

	got, err = Set{Name: "senate"}.InboundRules()
	require.NoError(t, err)
	assert.JSONEq(t, "[]", string(got))

	for _, extra := range []Port{{"icmp", 1}, {TCP, 0}, {}} {
		_, err := s.InboundRules(extra)
		var value *ValueError
		assert.ErrorAs(t, err, &value)
	}
	_, err = Set{}.InboundRules()
	assert.ErrorContains(t, err, "name")
}

// TestInboundRulesAreTakenByAWS has the real program check the text against EC2's
// model, without a call.
func TestInboundRulesAreTakenByAWS(t *testing.T) {
	lab.Need(t, "aws")
	lab.NeedIsolation(t) // it could not call
	rules, err := mail().InboundRules(Port{UDP, 51820}, Port{TCP, 80}, Port{TCP, 443})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "rules.json")
	require.NoError(t, os.WriteFile(path, rules, 0o600))
	cmd := exec.CommandContext(t.Context(), "aws", "ec2", "authorize-security-group-ingress", "--region", "eu-central-1",
		"--group-id", "sg-0", "--ip-permissions", "file://"+path, "--generate-cli-skeleton", "output")
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, string(out))
}

package move_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/internal/textfile"
)

func sample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../migrate/senate.toml")
	require.NoError(t, err)
	return string(data)
}

func TestLoadSample(t *testing.T) {
	m, err := move.Load("senate.toml", []byte(sample(t)))
	require.NoError(t, err)
	assert.Equal(t, "senate", m.Guest.Name)
	assert.Equal(t, "203.0.113.63", m.Router.Address.String())
	assert.Equal(t, "172.16.1.1", m.Tunnel.Router.Addr(true).String())
	assert.Equal(t, "2001:db8:189c:700:b4d2::4", m.Tunnel.Guest.Addr(false).String())
	assert.False(t, move.End{}.Addr(false).IsValid())
	assert.Equal(t, []string{"tcp", "udp"}, m.Protos())
	assert.Len(t, m.Services, 6)
}

func TestABareNumberIsNoTime(t *testing.T) {
	text := strings.Replace(sample(t), "ping_job = true", "keepalive = 25", 1)
	_, err := move.Load("m.toml", []byte(text))
	assert.ErrorContains(t, err, `"25" is no time in whole seconds`)
}

// TestLoadRefuses changes one line of the sample at a time: each mistake is
// reported at its line, in words that say what is wrong.
func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name, old, new string
		at             string // the text that the error's place points to
		want           string
	}{
		{"a misspelt key", "gateway = ", "gatway = ", `gatway =`, `unknown key "guest.home.gatway"`},
		{"no TOML", "cpu = 1", "cpu = = 1", `= 1`, "unexpected character"},
		{"an address that is none", `address = "203.0.113.63"`, `address = "203.0.113"`, `203.0.113"`, "IPv4 address too short"},
		{"a string for a number", "cpu = 1", `cpu = "1"`, `"1"`, "guest.vm.cpu: it cannot be a TOML string"},
		{"a gateway outside the network at home", `gateway = "192.168.14.254"`, `gateway = "192.168.41.254"`, `gateway = "192.168.41`, "guest.home.gateway: 192.168.41.254 lies in no connected prefix: vioif0 has 192.168.14.5/24"},
		{"no gateway at home", `gateway = "192.168.14.254"`, ``, `[guest.home]`, "all traffic into the tunnel would include the tunnel itself"},
		{"no address at home", `address = "192.168.14.5/24"`, ``, `[guest.home]`, "guest.home.address: is missing"},
		{"the tunnel's default gateway outside the tunnel", `"172.16.1.1/24", `, `"10.17.3.1/24", `, "addresses = [\"10.17", "10.17.3.1, which lies in no prefix that is connected to the guest"},
		{"the endpoint inside the tunnel", `"172.16.1.4/24", `, `"172.16.1.4/24", "203.0.113.4/24", `, `addresses = ["172.16.1.4/24", "203`, "holds the tunnel's own endpoint 203.0.113.63"},
		{"IPv6 at one end only", `, "2001:db8:189c:700:b4d2::4/80"]`, `]`, `[tunnel]`, "only one end has an IPv6 address"},
		{"no IPv4 in the tunnel", `"172.16.1.4/24", `, ``, `[tunnel]`, "both ends need an IPv4 address"},
		{"no port", "port = 51820", "", "[tunnel]", "tunnel.port: is missing"},
		{"no solver", `solver = "127.0.0.1:8181"`, "", "[router]", "router.solver: is no address and port"},
		{"a name with a slash", `name = "senate"`, `name = "../senate"`, `name = "../senate"`, `"../senate" is no name`},
		{"a name of one letter", `name = "senate"`, `name = "s"`, `name = "s"`, "at least two characters"},
		{"a name with a newline", `name = "ingress"`, `name = "in\ngress"`, `name = "in\n`, `is no name`},
		{"no moment to switch", "switch = 2026-12-05T20:00:00Z", "", "[dns]", "dns.switch: is missing"},
		{"a zone file without a place", `zone = "/etc/namedb/example.net"`, `zone = "example.net"`, `zone = "example.net"`, "is no absolute path"},
		{"a domain with a blank", `domain = "example.net"`, `domain = "example net"`, `domain =`, "is no name"},
		{"no name", `name = "garage"`, ``, `[hypervisor]`, "hypervisor.name: is missing"},
		{"two machines of one name", `name = "garage"`, `name = "senate"`, "name = \"senate\"\ndatastore", `"senate" is the guest's name too`},
		{"a relative path", `disk = "/dev/vms/senate"`, `disk = "dev/vms"`, `disk = "dev`, "no absolute path"},
		{"a path that a shell would take apart", `disk = "/dev/vms/senate"`, `disk = "/dev/$(reboot)"`, `disk = "/dev/$`, `a shell would not take '$' as it is`},
		{"an IPv6 address for the router", `address = "203.0.113.63"`, `address = "2001:db8::1"`, `address = "2001:db8::1"`, "is no IPv4 address"},
		{"a disk that ends the command", `disk = "disk0.img"`, `disk = "d;reboot"`, `disk = "d;`, `"d;reboot" is no name`},
		{"a disk elsewhere", `disk = "disk0.img"`, `disk = "../../x"`, `disk = "../`, `"../../x" is no name`},
		{"a key that is a second line", `public_key = "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw="`, `public_key = "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw=\nEndpoint = 192.0.2.1:1"`, `public_key = "hJg`, "is no WireGuard key"},
		{"a key cut in two", `public_key = "hJg8YPfarcHLhphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw="`, `public_key = "hJg8YPfarcHL\nphiH4AsDZ+aPDwpXIEHSPsEgRXBhuw="`, `public_key = "hJg`, "is no WireGuard key"},
		{"a release without wg(4)", `to = "10.1"`, `to = "9.3"`, `to = "9.3"`, `"9.3" has no wg(4)`},
		{"a release that is none", `to = "10.1"`, `to = "10\n# x"`, `to = "10`, `is no name`},
		{"a disk without a size", `size = "80GiB"`, ``, `[disk]`, "disk.size: is missing"},
		{"a size without a unit", `size = "80GiB"`, `size = "80"`, `80"`, "is no size or rate such as 80GiB"},
		{"a bare number for a size", `size = "80GiB"`, `size = 80`, `size = 80`, "it needs a unit"},
		{"a unit that is none", `size = "80GiB"`, `size = "80Gibt"`, `80Gibt"`, "is no size or rate such as 80GiB"},
		{"more changes than there are bytes", `changed = "2GB"`, `changed = "2TB"`, `changed = "2TB"`, "more changes than the disk has"},
		{"a link that stands still", `link = "100Mbit"`, `link = "0Mbit"`, `0Mbit"`, `"0Mbit" is no size or rate`},
		{"a link in reverse", `link = "100Mbit"`, `link = "-1Mbit"`, `-1Mbit"`, `"-1Mbit" is no size or rate`},
		{"a link that is no number", `link = "100Mbit"`, `link = "NaNMbit"`, `NaNMbit"`, `"NaNMbit" is no size or rate`},
		{"a tunnel that is not wg(4)", `iface = "wg0"`, `iface = "tun0"`, `iface = "tun0"`, `"tun0" is no wg(4) interface`},
		{"an IPv4 prefix for IPv6", `prefix6 = "2001:db8:189c:700:b4d2::/80"`, `prefix6 = "192.0.2.0/24"`, `prefix6 = "192`, "is no IPv6 prefix"},
		{"a solver with a zone", `solver = "127.0.0.1:8181"`, `solver = "[fe80::1%a;b]:8181"`, `solver = "[fe80`, "router.solver: is no address and port"},
		{"a protocol twice", `protos = ["tcp", "udp"]`, `protos = ["tcp", "tcp"]`, `protos = ["tcp", "tcp"]`, "tcp stands there twice"},
		{"the tunnel's own port", "[\"tcp\", \"udp\"]\nport = 53", "[\"tcp\", \"udp\"]\nport = 51820", "port = 51820\nvia", "is the tunnel's own"},
		{"the port of nginx", "port = 465", "port = 443", "port = 443", "is nginx's on the router"},
		{"a proxy over udp", "[\"tcp\"]\nport = 80", "[\"udp\"]\nport = 80", "protos = [\"udp\"]\nport = 80", "nginx passes on tcp only"},
		{"no public key", `public_key = "dMlWBAQ0J/C+4dDha/pTr9U39zatAHPEzE4cyzqCtdw="`, ``, `[tunnel.router]`, "public_key: is missing"},
		{"a keepalive of a number", `ping_job = true`, `keepalive = "25"`, `keepalive = "25"`, "is no time in whole seconds"},
		{"a keepalive below a second", `ping_job = true`, `keepalive = "1.5s"`, `keepalive = "1.5s"`, "is no time in whole seconds"},
		{"sources of what is not forwarded", "993\nvia = \"tunnel\"", "993\nvia = \"tunnel\"\nsources = [\"192.0.2.0/24\"]", "sources = ", "only what is forwarded"},
		{"a preshared key nowhere", `port = 51820`, "port = 51820\npreshared_key_file = \"psk\"", "preshared_key_file", "is no absolute path"},
		{"an unknown way", "993\nvia = \"tunnel\"", "993\nvia = \"pigeon\"", `via = "pigeon"`, `"pigeon" is none of forward, proxy and tunnel`},
		{"an unknown protocol", `protos = ["tcp", "udp"]`, `protos = ["tcp", "sctp"]`, `protos = ["tcp", "sctp"]`, `"sctp" is neither tcp nor udp`},
		{"no protocol", `protos = ["tcp", "udp"]`, ``, "[[service]]\nname = \"dns\"", "protos: is missing"},
		{"no service port", "port = 465", "", "[[service]]\nname = \"smtps\"", "port: is missing"},
		{"a port twice", "port = 465", "port = 25", "port = 25\nvia = \"forward\"\n\n[[service]]\nname = \"subm", "smtp has tcp port 25 already"},
		{"a proxy without names", `names = ["example.net", "www.example.net"]`, ``, "[[service]]\nname = \"web\"", "names: is missing"},
		{"terms that nobody has agreed to", "accept_terms = true", "", "[certificates]", "certificates.accept_terms: is not true"},
		{"an authority without TLS", "accept_terms = true", "accept_terms = true\ndirectory = \"http://ca.example.net\"", `directory = "http:`, "is no https URL"},
		{"an account that is no mail address", `email = "hostmaster@example.net"`, `email = "hostmaster"`, "email =", `"hostmaster" is no mail address`},
		{"an address that is a second header", `email = "hostmaster@example.net"`, `email = "h@example.net\nBcc: x@example.net"`, "email =", "a shell would not take"},
		{"no port for certificates", "port = 8182", "", "[certificates]", "certificates.port: is missing"},
		{"the solver's port for certificates", "port = 8182", "port = 8181", "port = 8181", "is that of nginx or of the solver"},
		{"a group that is none", `group = "mail"`, `group = "ma il"`, "group =", `"ma il" is no name`},
		{"a certificate twice", `name = "example.org"`, `name = "senate.example.net"`, "name = \"senate.example.net\"\n\n# Who", "stands there twice"},
		{"a certificate with a path", `name = "example.org"`, `name = "../example.org"`, `name = "../`, "is no name"},
		{"a certificate for nobody", `name = "example.org"`, "name = \"example.org\"\ndomains = []", "domains = []", "is empty"},
		{"a domain that ends the line", `"ingress.example.net"]`, `"ingress;example.net"]`, "domains = [\"senate", "is no name"},
		{"a site that no certificate covers", `"example.net", "www.example.net"]
`, `"example.net", "w3.example.net"]
`, "names = ", "no certificate covers all of them"},
		{"a daemon twice", `name = "dovecot"`, `name = "postfix"`, "name = \"postfix\"\ncertificates = [\"senate.example.net\"]\nreload = [\"/usr/pkg", "stands there twice"},
		{"a daemon with a certificate that is none", "certificates = [\"senate.example.net\"]\nreload = [\"/usr/pkg", "certificates = [\"example.com\"]\nreload = [\"/usr/pkg", "certificates = [\"example.com", `no certificate "example.com"`},
		{"a daemon with no certificate", "certificates = [\"senate.example.net\"]\nreload = [\"/usr/pkg", "reload = [\"/usr/pkg", "[[daemon]]\nname = \"dovecot", "certificates: is missing"},
		{"a reload by a shell", `["/usr/pkg/bin/doveadm", "reload"]`, `["/usr/pkg/bin/doveadm", "reload; reboot"]`, `reload = ["/usr/pkg`, "a shell would not take"},
		{"a reload from anywhere", `["/usr/pkg/bin/doveadm", "reload"]`, `["doveadm", "reload"]`, `reload = ["doveadm`, "no absolute path"},
		{"no reload", `reload = ["/usr/pkg/bin/doveadm", "reload"]`, "", "[[daemon]]\nname = \"dovecot", "reload: is missing"},
		{"a daemon of a service that is none", `services = ["imaps"]`, `services = ["pops"]`, `services = ["pops`, `there is no service "pops"`},
		{"a service without TLS", `services = ["imaps"]`, `services = ["dns"]`, `services = ["dns`, "nobody knows how TLS begins on port 53"},
		{"a daemon that nobody asks", `services = ["imaps"]`, "", "[[daemon]]\nname = \"dovecot", "a reload that exits 0 proves nothing"},
		{"a proxy for a name that is none", `"www.example.net"]`, `"www;example.net"]`, `names =`, `"www;example.net" is no name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := sample(t)
			require.Equal(t, 1, strings.Count(text, tt.old), "the sample has it once")
			text = strings.Replace(text, tt.old, tt.new, 1)
			i := strings.Index(text, tt.at)
			require.GreaterOrEqual(t, i, 0)
			line := strings.Count(text[:i], "\n") + 1
			_, err := move.Load("m.toml", []byte(text))
			require.Error(t, err)
			assert.Contains(t, err.Error(), fmt.Sprintf("m.toml:%d:", line))
			assert.Contains(t, err.Error(), tt.want)
		})
	}
}

func TestLoadReportsAllAtOnce(t *testing.T) {
	_, err := move.Load("m.toml", nil)
	require.Error(t, err)
	assert.Greater(t, strings.Count(err.Error(), "\n"), 15)
	assert.Contains(t, err.Error(), "service: is missing")
	assert.Contains(t, err.Error(), "guest.name: is missing")
}

func TestProblemFindsThePlaceOfAKeyOrOfWhatIsAround(t *testing.T) {
	m, err := move.Load("m.toml", []byte(sample(t)))
	require.NoError(t, err)
	p := m.Problem("guest.vm.memory", "is %d", 3)
	assert.Equal(t, textfile.Error, p.Severity)
	assert.Equal(t, "guest.vm.memory: is 3", p.Message)
	lines := strings.Split(sample(t), "\n")
	assert.Equal(t, `memory = "2048M"`, lines[p.Line-1])
	assert.Equal(t, "[guest.vm]", lines[m.Problem("guest.vm.nothing", "").Line-1])
	assert.Equal(t, 0, m.Problem("nothing", "").Line)
}

func TestBytes(t *testing.T) {
	for in, want := range map[string]string{
		"80GiB": "80 GiB", "1024MiB": "1 GiB", "2GB": "2 GB", "1.5TB": "1.5 TB", "100Mbit": "12.5 MB", "56kbit": "7 kB", "1KiB": "1 kB",
	} {
		var b move.Bytes
		require.NoError(t, b.UnmarshalText([]byte(in)))
		assert.Equal(t, want, b.String())
	}
	for _, in := range []string{"", "80", "GiB", "80 GiB", "80gib", "0GB", "-1GB", "1e30TB", "infGB", "NaNGB", "1GBit"} {
		assert.Error(t, new(move.Bytes).UnmarshalText([]byte(in)), in)
	}
}

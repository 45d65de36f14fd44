package certconf_test

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/certconf"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../certsyncd/" + name)
	require.NoError(t, err)
	return string(data)
}

func TestLoadSamples(t *testing.T) {
	router, err := certconf.Load("router.toml", []byte(sample(t, "router.toml")))
	require.NoError(t, err)
	assert.Equal(t, 14*24*time.Hour, router.Alarm.Duration)
	assert.Equal(t, "127.0.0.1:8181", router.Issue.HTTP01.String())
	assert.Equal(t, certsync.ECDSAP256, router.Issue.KeyType)
	assert.Len(t, router.Certificates, 2)
	guest, err := certconf.Load("guest.toml", []byte(sample(t, "guest.toml")))
	require.NoError(t, err)
	assert.True(t, guest.Rollback)
	assert.Equal(t, fs.FileMode(0o440), guest.Install.Mode.FileMode)
	assert.Len(t, guest.Daemons[0].Probes, 3)
	assert.Nil(t, guest.Issue)
}

// TestLoadRefuses changes one line of a sample at a time: each mistake is reported at
// its line, in words that say what is wrong.
func TestLoadRefuses(t *testing.T) {
	const router, guest = "router.toml", "guest.toml"
	tests := []struct {
		name, file, old, new string
		at                   string // the text that the error's place points to
		want                 string
	}{
		{"a misspelt key", guest, "group = ", "gruop = ", "gruop =", `unknown key "install.gruop"`},
		{"no TOML", guest, "keep = 3", "keep = = 3", "= 3", "unexpected character"},
		{"a time without a unit", guest, `interval = "1h"`, `interval = "60"`, `60"`, "is no time such as 90s"},
		{"a time that goes back", guest, `interval = "1h"`, `interval = "-1h"`, `-1h"`, "is no time such as 90s"},
		{"a state in no place", router, `state = "/var/lib`, `state = "var/lib`, "state =", "is no absolute path"},
		{"terms that nobody has agreed to", router, "accept_terms = true", "", "[issue]", "issue.accept_terms: is not true"},
		{"an authority without TLS", router, `# directory = "https`, `directory = "http`, `directory = "http`, "is no URL of scheme https"},
		{"an account nowhere", router, `account = "/var/lib/certsyncd/account"`, "", "[issue]", "issue.account"},
		{"no solver", router, `http01 = "127.0.0.1:8181"`, "", "[issue]", "issue.http01: is missing"},
		{"an account's address with a second header", router, `email = "hostmaster@example.net"`, `email = "h@example.net\nBcc: x@example.net"`, "email =", "is no mail address"},
		{"half of a binding", router, `key_type = "ecdsa-p256"`, `eab_key_id = "k"`, "eab_key_id", "need each other"},
		{"a kind of key that is none", router, `"ecdsa-p256"`, `"ecdsa-p999"`, "key_type =", `"ecdsa-p999" is none of`},
		{"a profile in two lines", router, `# profile = "shortlived"`, `profile = "short\nlived"`, "profile =", "only printable ASCII"},
		{"a local authority with an account", router, `accept_terms = true`, `local_ca = "/tmp/ca"`, "local_ca = \"/tmp/ca\"\nemail", "needs nothing else"},
		{"a wildcard by HTTP-01", router, `"ingress.example.net"]`, `"*.example.net"]`, "domains =", `"*.example.net" needs DNS-01`},
		{"a certificate twice", router, `name = "example.org"`, `name = "Senate.example.net"`, `name = "Senate`, "stands there twice"},
		{"a name that is a path", router, `name = "example.org"`, `name = "../../etc"`, `name = "../`, "is no name"},
		{"a domain with a blank", router, `"ingress.example.net"]`, `"ingress example.net"]`, "domains =", "is no domain"},
		{"an empty list of domains", router, `name = "example.org"`, "name = \"example.org\"\ndomains = []", "domains = []", "is empty"},
		{"keys for the world", router, `listen = "172.16.1.1:8182"`, `listen = "0.0.0.0:8182"`, "listen =", "keys are sent in plain text"},
		{"keys for nobody", router, `allow = ["172.16.1.4/32"]`, "", "[publish]", "publish.allow: is missing"},
		{"a prefix that is none", router, `"172.16.1.4/32"`, `"172.16.1.4/33"`, `172.16.1.4/33`, "prefix"},
		{"TLS with nothing", router, `allow = [`, "tls = \"example.com\"\nallow = [", "tls =", `there is no certificate "example.com"`},
		{"allowed to what listens nowhere", router, `listen = "172.16.1.1:8182"`, "", "[publish]", "tls and allow are about it"},
		{"its own source", router, `dir = "/var/lib/certsyncd/nginx"`, `dir = "/var/lib/certsyncd/published"`, "dir = \"/var/lib/certsyncd/published\"\n\n[[daemon", "would be its own source"},
		{"a signal that ends it", router, `signal = "HUP"`, `signal = "KILL"`, "signal =", `"KILL" is none of HUP`},
		{"a signal to nobody", router, `pid_file = "/run/nginx.pid"`, "", "[[daemon]]", "pid_file"},
		{"two ways to tell", router, `signal = "HUP"`, "signal = \"HUP\"\nreload = [\"/bin/true\"]", "signal =", "reload says already"},
		{"a key over plain HTTP", guest, `url = "http://172.16.1.1`, `url = "http://203.0.113.63`, "url =", "has to name an address that lies within"},
		{"a name over plain HTTP", guest, `url = "http://172.16.1.1`, `url = "http://ingress.example.net`, "url =", "has to name an address that lies within"},
		{"a password in a URL", guest, `url = "http://172`, `url = "https://u:p@172`, "url =", "fetch.url: is no URL of scheme"},
		{"two sources", guest, `url = "http`, "dir = \"/root/.lego\"\nurl = \"http", "[fetch]", "and not both"},
		{"no source", guest, `url = "http://172.16.1.1:8182/"`, "", "[fetch]", "it needs url or dir"},
		{"a layout that is none", guest, `mode = "0440"`, `layout = "flat"`, `flat"`, "is none of versions, combined and pair"},
		{"keys that anybody can read", guest, `mode = "0440"`, `mode = "0444"`, `0444"`, "is no mode of files with keys"},
		{"a mode that is no number", guest, `mode = "0440"`, `mode = "0x440"`, `0x440"`, "is no mode of files with keys"},
		{"a group with a colon", guest, `group = "mail"`, `group = "mail:x"`, "group =", "is no name or number"},
		{"a daemon of a certificate that is none", guest, `name = "dovecot"`, "name = \"dovecot\"\ncertificates = [\"example.com\"]", "certificates =", `no certificate "example.com"`},
		{"a daemon twice", guest, `name = "dovecot"`, `name = "postfix"`, "name = \"postfix\"\nreload = [\"/usr/pkg", "stands there twice"},
		{"an argument in two lines", guest, `"/usr/pkg/bin/doveadm", "reload"`, `"/usr/pkg/bin/doveadm", "re\nload"`, "reload = [\"/usr/pkg", "only printable ASCII"},
		{"no program", guest, `reload = ["/usr/pkg/bin/doveadm", "reload"]`, `reload = []`, "reload = []", "names no program"},
		{"a probe of what nobody speaks", guest, `"imap://127`, `"pop3://127`, `pop3://127`, "is no probe such as"},
		{"a probe without a port", guest, `"imap://127.0.0.1:143"`, `"imap://127.0.0.1"`, `imap://127.0.0.1"`, "is no probe such as"},
		{"a probe for a name that is none", guest, `"imap://127.0.0.1:143"`, `"imap://127.0.0.1:143/a b"`, `imap://127.0.0.1:143/`, "is no probe such as"},
		{"a mail to two headers", guest, `to = ["hostmaster@example.net"]`, `to = ["h@example.net\nBcc: x@example.net"]`, "to =", "is no mail address"},
		{"a mail to two people in one", guest, `to = ["hostmaster@example.net"]`, `to = ["h@example.net, x@example.net"]`, "to =", "is no mail address"},
		{"a mail from a program", guest, `from = "certsyncd@senate.example.net"`, `from = "Certsyncd <c@example.net>"`, "from =", "is no mail address"},
		{"a mail to nobody", guest, `to = ["hostmaster@example.net"]`, `to = []`, "to = []", "to whom the mail goes"},
		{"a mailer in no place", guest, `from = "cert`, "sendmail = \"sendmail\"\nfrom = \"cert", "sendmail =", "is no absolute path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := sample(t, tt.file)
			require.Equal(t, 1, strings.Count(text, tt.old), "the sample has it once")
			text = strings.Replace(text, tt.old, tt.new, 1)
			i := strings.Index(text, tt.at)
			require.GreaterOrEqual(t, i, 0)
			line := strings.Count(text[:i], "\n") + 1
			_, err := certconf.Load("c.toml", []byte(text))
			require.Error(t, err)
			assert.Contains(t, err.Error(), fmt.Sprintf("c.toml:%d:", line))
			assert.Contains(t, err.Error(), tt.want)
		})
	}
}

func TestLoadRefusesWhatIsNotWhole(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "there is nothing to do",
		"[issue]\nlocal_ca = \"/tmp/ca\"": "publish.dir is missing",
		"[publish]\ndir = \"/tmp/p\"":     "publish.listen: is missing",
		"[install]\ndir = \"/tmp/i\"":     "fetch and install need each other",
		"[fetch]\ndir = \"/tmp/i\"":       "fetch and install need each other",
		"[fetch]\ndir = \"/f\"\n[install]\ndir = \"/i\"\n[[certificate]]\nname = \"x\"\n[[daemon]]\nname = \"x\"\nprobes = []":      "nothing would be told or asked",
		"[publish]\ndir = \"/p\"\nlisten = \"127.0.0.1:1\"\nallow = [\"::/0\"]\n[[daemon]]\nname = \"x\"\nreload = [\"/bin/true\"]": "install is missing",
	} {
		_, err := certconf.Load("c.toml", []byte(text))
		assert.ErrorContains(t, err, want, text)
	}
}

// TestLoadRefusesBareNumbers has what a decoder may take for the value itself: a mode
// that is not looked at, and an interval in nanoseconds.
func TestLoadRefusesBareNumbers(t *testing.T) {
	guest := sample(t, "guest.toml")
	for _, change := range [][2]string{
		{`interval = "1h"`, `interval = 60`},
		{`interval = "1h"`, `alarm = -5`},
		{`mode = "0440"`, `mode = 0o444`},
		{`mode = "0440"`, `mode = 444`},
		{`keep = 3`, `layout = 7`},
		{`probes = [`, "probes = [\n\t7,"},
	} {
		before, after, found := strings.Cut(guest, change[0])
		require.True(t, found, change[0])
		_, err := certconf.Load("c.toml", []byte(before+change[1]+after))
		place := fmt.Sprintf("c.toml:%d:1: ", strings.Count(before, "\n")+1)
		assert.ErrorContains(t, err, place, change[1])
	}
}

// FuzzConfig looks for a file that panics, or that is taken with a value that would be a
// second header, a second argument's end, or another directory than its own.
func FuzzConfig(f *testing.F) {
	f.Add(sample(f, "router.toml"))
	f.Add(sample(f, "guest.toml"))
	f.Add("[publish]\ndir = \"/p\"\n[issue]\nlocal_ca = \"/tmp/ca\"\n[[certificate]]\nname = \"*.example.net\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := certconf.Load("c.toml", []byte(text))
		if err != nil {
			assert.NotContains(t, err.Error(), "\x00")
			return
		}
		var words []string
		for _, cert := range c.Certificates {
			words = append(append(words, cert.Name), cert.Domains...)
			assert.NotContains(t, cert.Name, "/")
			assert.NotEqual(t, "..", cert.Name)
		}
		for _, d := range c.Daemons {
			words = append(append(words, d.Name, d.PIDFile), d.Reload...)
			for _, p := range d.Probes {
				assert.NotNil(t, p.Sync("example.net"))
			}
		}
		if n := c.Notify; n != nil {
			words = append(append(words, n.From, n.Sendmail), n.To...)
			for _, to := range append(n.To, n.From) {
				assert.Equal(t, 1, strings.Count(to, "@"), to)
				assert.NotContains(t, to, " ")
			}
		}
		if i := c.Install; i != nil {
			assert.Zero(t, i.Mode.FileMode&0o007, "nobody else reads keys")
			words = append(words, i.Dir, i.Owner, i.Group)
		}
		for _, word := range words {
			assert.False(t, strings.ContainsFunc(word, func(r rune) bool { return r < ' ' || r == 0x7f }), "%q", word)
		}
	})
}

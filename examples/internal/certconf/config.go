// Package certconf reads the file that tells certsyncd what to do on one machine.
package certconf

import (
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/tomlfile"
)

// A Config is a whole file. A machine that gets certificates has Issue and Publish, one
// that serves them has Fetch and Install, and one machine may have all of them.
type Config struct {
	State    string   `toml:"state"`    // the directory that keeps what was done; "": beside the certificates
	Interval Duration `toml:"interval"` // between two runs; 0: the library's own
	Alarm    Duration `toml:"alarm"`    // how long before its end a certificate has to be replaced; likewise
	Rollback bool     `toml:"rollback"` // to the certificate of before, if a daemon does not serve the new one

	Issue        *Issue        `toml:"issue"`
	Publish      *Publish      `toml:"publish"`
	Certificates []Certificate `toml:"certificate"`
	Fetch        *Fetch        `toml:"fetch"`
	Install      *Install      `toml:"install"`
	Daemons      []Daemon      `toml:"daemon"`
	Notify       *Notify       `toml:"notify"`

	file *tomlfile.File
}

// Issue says from whom certificates are got.
type Issue struct {
	LocalCA string `toml:"local_ca"` // the directory of an authority of one's own, instead of all below

	Directory      string           `toml:"directory"` // URL; "": Let's Encrypt
	CA             string           `toml:"ca"`        // a file with the roots to trust there; "": those of the system
	AcceptTerms    bool             `toml:"accept_terms"`
	Email          string           `toml:"email"`
	Account        string           `toml:"account"` // the directory that keeps it, as lego's --path
	KeyID          string           `toml:"eab_key_id"`
	HMACFile       string           `toml:"eab_hmac_file"` // a secret, and so in a file of its own
	Profile        string           `toml:"profile"`
	PreferredChain string           `toml:"preferred_chain"`
	KeyType        certsync.KeyType `toml:"key_type"`
	ReuseKey       bool             `toml:"reuse_key"`
	HTTP01         netip.AddrPort   `toml:"http01"`
	TLSALPN01      netip.AddrPort   `toml:"tls_alpn01"`
}

// Publish says where what was issued is kept, and to whom it is given.
type Publish struct {
	Dir    string         `toml:"dir"`
	Layout Layout         `toml:"layout"`
	Listen netip.AddrPort `toml:"listen"` // the zero value: nobody asks here, as where nginx serves the files
	TLS    string         `toml:"tls"`    // the name of the certificate to speak TLS with; "": plain HTTP
	Allow  []netip.Prefix `toml:"allow"`
}

// A Certificate is one that is got, published and installed.
type Certificate struct {
	Name    string   `toml:"name"`
	Domains []string `toml:"domains"` // nil: Name
}

// Fetch says where certificates come from: a URL, or a directory on this machine.
type Fetch struct {
	URL    string         `toml:"url"`
	CA     string         `toml:"ca"`    // a file with the roots to trust; "": those of the system
	Plain  []netip.Prefix `toml:"plain"` // to where http:// may lead
	Dir    string         `toml:"dir"`
	Layout Layout         `toml:"layout"` // of Dir, or of plain files behind URL; the zero value there: a certsyncd
}

// Install says where certificates go.
type Install struct {
	Dir      string             `toml:"dir"`
	Layout   Layout             `toml:"layout"`
	Owner    string             `toml:"owner"`
	Group    string             `toml:"group"`
	Mode     Mode               `toml:"mode"`
	Keep     int                `toml:"keep"`
	Roots    string             `toml:"roots"`     // a file with the roots that chains have to lead to; "": any
	KeyTypes []certsync.KeyType `toml:"key_types"` // nil: all
}

// A Daemon serves certificates.
type Daemon struct {
	Name         string   `toml:"name"`
	Certificates []string `toml:"certificates"` // nil: all
	Reload       []string `toml:"reload"`       // a program and its arguments
	Signal       string   `toml:"signal"`       // instead of Reload
	PIDFile      string   `toml:"pid_file"`
	Probes       []Probe  `toml:"probes"`
	Patience     Duration `toml:"patience"`
}

// Notify says whom to send a mail when something has happened.
type Notify struct {
	To       []string `toml:"to"`
	From     string   `toml:"from"`
	Sendmail string   `toml:"sendmail"` // "": /usr/sbin/sendmail
}

// Duration is a time such as "90s", "6h" or "14d". It is a struct, as Mode and Layout are,
// since the decoder would put a bare number into an integer without asking UnmarshalText.
type Duration struct{ time.Duration }

// UnmarshalText reads what [time.ParseDuration] does, or a number of days.
func (d *Duration) UnmarshalText(text []byte) error {
	var n time.Duration
	days, isDays := strings.CutSuffix(string(text), "d")
	count, err := strconv.ParseUint(days, 10, 16)
	if n = time.Duration(count) * 24 * time.Hour; !isDays {
		n, err = time.ParseDuration(string(text))
	}
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is no time such as 90s, 6h or 14d", text)
	}
	d.Duration = n
	return nil
}

// Mode is a file mode in octal, such as "0440". Files that hold keys are for nobody but
// their owner and group.
type Mode struct{ fs.FileMode }

// UnmarshalText reads it.
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 16)
	if err != nil || n == 0 || n&^0o660 != 0 {
		return fmt.Errorf(`%q is no mode of files with keys, such as "0440": read and write, for owner and group`, text)
	}
	m.FileMode = fs.FileMode(n)
	return nil
}

// Layout is that of a directory, by its name: versions, combined or pair.
type Layout struct{ certsync.Layout }

// UnmarshalText reads it.
func (l *Layout) UnmarshalText(text []byte) error {
	layout, known := map[string]certsync.Layout{"versions": certsync.Versions, "combined": certsync.Combined, "pair": certsync.Pair}[string(text)]
	if !known {
		return fmt.Errorf("%q is none of versions, combined and pair", text)
	}
	l.Layout = layout
	return nil
}

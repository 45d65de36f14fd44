package main

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/zone"
)

// options are the flags of all commands, of which each has some.
type options struct {
	origin, dir string
	json        bool

	old []netip.Addr // check

	dry, frozen bool // edits
	serial      zone.SerialPolicy
	ttl         *time.Duration

	rndc    zone.RNDC
	timeout time.Duration
	key     string

	min   *uint32 // wait
	drain *time.Duration

	move zone.Move // cutover
}

func commonFlags(flags *flag.FlagSet, o *options) {
	flags.StringVar(&o.origin, "origin", "", "the zone's `NAME`, if that of FILE does not tell it")
	flags.StringVar(&o.dir, "dir", "", "named's working `DIR`, which paths of $INCLUDE are relative to; without it, the current one")
	flags.BoolVar(&o.json, "json", false, "print JSON")
}

func editFlags(flags *flag.FlagSet, o *options) {
	flags.BoolVar(&o.dry, "n", false, "change nothing, print what would change as a diff")
	flags.BoolVar(&o.frozen, "frozen", false, "edit a dynamic zone: have rndc freeze it before and thaw it after; with -n, it is not frozen, and FILE may lack updates")
	o.serial = asBefore
	flags.Func("serial", "how the serial is raised: `POLICY` date (YYYYMMDDnn), increment or unix; without it, date if the serial is one, else increment", func(s string) (err error) {
		policies := map[string]zone.SerialPolicy{"date": zone.DateCounter, "increment": zone.Increment, "unix": zone.UnixTime}
		if o.serial = policies[s]; o.serial == nil {
			err = errors.New("it is date, increment or unix")
		}
		return err
	})
	rndcFlags(flags, o)
}

// asBefore raises a serial as whoever wrote it would: there is no way back from
// another policy.
func asBefore(old uint32, now time.Time) (uint32, error) {
	const year1980 = 1980_01_01_00 // no zone is older, but seconds since 1970 may look so
	if _, err := time.Parse("20060102", strconv.Itoa(int(old/100))); err == nil && old >= year1980 {
		return zone.DateCounter(old, now)
	}
	return zone.Increment(old, now)
}

func ttlFlag(flags *flag.FlagSet, o *options) {
	optionalTTL(flags, &o.ttl, "ttl", "the `TTL` of the whole RRset, such as 300 or 1h; without it, the one that it has")
}

func rndcFlags(flags *flag.FlagSet, o *options) {
	flags.StringVar(&o.rndc.Config, "rndc-config", "", "rndc's configuration `FILE`: which named, and with which key")
	flags.StringVar(&o.rndc.Key, "rndc-key", "", "rndc's key `FILE`, without a configuration")
	flags.StringVar(&o.rndc.View, "view", "", "the `VIEW`, where the zone is in several")
}

func timeoutFlag(d time.Duration) func(*flag.FlagSet, *options) {
	return func(flags *flag.FlagSet, o *options) {
		flags.DurationVar(&o.timeout, "timeout", d, "`TIME` to wait, such as 90s")
	}
}

func keyFlag(flags *flag.FlagSet, o *options) {
	flags.StringVar(&o.key, "key", "", "`FILE` with the key statement that signs the questions (TSIG)")
}

func optionalTTL(flags *flag.FlagSet, to **time.Duration, name, usage string) {
	flags.Func(name, usage, func(s string) error {
		d, err := zone.ParseTTL(s)
		*to = &d
		return err
	})
}

// guessOrigin takes the zone's name from its file's, "" if that tells nothing: a
// single word is no zone that is served to the world, and no zone's last label is
// a number, as in Debian's db.127.
func guessOrigin(file string) string {
	name := strings.TrimPrefix(filepath.Base(file), "db.")
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".zone"), ".db")
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || strings.Trim(name[dot+1:], "0123456789") == "" {
		return ""
	}
	return name
}

func (c *call) open() (*zone.File, error) {
	return zone.Open(c.file, c.origin, &zone.Options{Dir: c.dir})
}

// tsig returns the key, nil if none was named.
func (c *call) tsig() (*zone.Key, error) {
	if c.key == "" {
		return nil, nil
	}
	key, err := zone.OpenKey(c.key)
	return &key, err
}

// address reads a server's address, with or without a port.
func address(server string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(server); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	addr, err := netip.ParseAddrPort(server)
	if err != nil {
		err = cli.Usagef("server %q: not an address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53", server)
	}
	return addr, err
}

// print writes what a command has to say, as JSON or as text.
func (c *call) print(v any, text string) error {
	if c.json {
		return cli.JSON(v)
	}
	_, err := os.Stdout.WriteString(text)
	return err
}

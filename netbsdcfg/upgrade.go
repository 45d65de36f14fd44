package netbsdcfg

import (
	"net/url"
	"strconv"
	"strings"
)

// A Step is one step of an upgrade.
type Step struct {
	// Command is what to run as root, one word an element.
	Command []string
	// Why says what the step does, in a sentence for a runbook.
	Why string
	// Reboot says that the machine must be rebooted after the command, and
	// before the next step.
	Reboot bool
}

// UpgradeSteps returns what upgrades NetBSD from one version to another with
// sysupgrade(8), from the release at an http, https or ftp URL, such as
// https://cdn.NetBSD.org/pub/NetBSD/NetBSD-10.1/amd64. A version is as uname -r
// prints it: 9.0, 10.1, 9.3_STABLE, or 10 for 10.0.
//
// Within a major release "sysupgrade auto" does it all. Across one the new
// kernel must run before the new userland is unpacked, so the steps are run one
// by one and the machine reboots twice. The error is a *ValueError for a
// version or URL that is none, for a downgrade or the same version, and for a
// skipped major release, which NetBSD does not support.
func UpgradeSteps(from, to, url string) ([]Step, error) {
	have, ok := parseVersion(from)
	if !ok {
		return nil, refusal("version", from, "is not a version such as 9.0 or 10.1")
	}
	want, ok := parseVersion(to)
	if !ok {
		return nil, refusal("version", to, "is not a version such as 9.0 or 10.1")
	}
	if reason := badURL(url); reason != "" {
		return nil, refusal("URL", url, reason)
	}
	switch {
	case want == have:
		return nil, refusal("version", to, "is the version that runs already")
	case want.major < have.major || want.major == have.major && want.minor < have.minor:
		return nil, refusal("version", to, "is older than "+from+": a downgrade is not supported")
	case want.major > have.major+1:
		return nil, refusal("version", to, "skips a major release: upgrade "+from+" to "+strconv.Itoa(have.major+1)+" first")
	case want.major == have.major:
		return []Step{{sysupgrade("auto", url), "fetch and install kernel, modules and sets, merge /etc, clean up", true}}, nil
	}
	return []Step{
		{sysupgrade("fetch", url), "fetch the sets of the new release; the machine keeps running", false},
		{sysupgrade("kernel"), "install the new kernel; the old one stays as /onetbsd", false},
		{sysupgrade("modules"), "install the modules of the new kernel, and boot it: the new userland needs it", true},
		{sysupgrade("sets"), "unpack the new userland", false},
		{sysupgrade("etcupdate"), "merge the new /etc; it asks about what was changed by hand", false},
		{sysupgrade("postinstall"), "check and fix what the new release expects", false},
		{sysupgrade("clean"), "remove the fetched sets, and boot with all of the new release", true},
	}, nil
}

func sysupgrade(args ...string) []string { return append([]string{"sysupgrade"}, args...) }

// A version is a NetBSD release: 9.3 is major 9, minor 3.
type version struct{ major, minor int }

func parseVersion(text string) (v version, ok bool) {
	text = strings.TrimSuffix(text, "_STABLE")
	major, minor, dotted := strings.Cut(text, ".")
	if !dotted {
		minor = "0"
	}
	number := func(s string) int {
		if strings.Trim(s, "0123456789") != "" || len(s) > 3 {
			return -1
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			return -1
		}
		return n
	}
	v = version{number(major), number(minor)}
	return v, v.major > 0 && v.minor >= 0
}

// badURL returns what is wrong with a URL, which ends up in a shell and in a
// runbook.
func badURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "is not a URL"
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ftp":
		return "is not an http, https or ftp URL"
	case u.Host == "":
		return "has no host"
	case !plainWord(strings.NewReplacer("~", "", "%", "").Replace(text)):
		return "holds a character that a shell would read"
	}
	return ""
}

package netbsdcfg

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const releaseURL = "https://cdn.NetBSD.org/pub/NetBSD/NetBSD-10.1/amd64"

func TestUpgradeSteps(t *testing.T) {
	tests := []struct{ name, from, to, want string }{
		{"across a major release, seven commands and two reboots", "9.0", "10", "fetch " + releaseURL +
			"|kernel|modules|reboot|sets|etcupdate|postinstall|clean|reboot"},
		{"across a major release, with minors", "9.3_STABLE", "10.1", "fetch " + releaseURL +
			"|kernel|modules|reboot|sets|etcupdate|postinstall|clean|reboot"},
		{"within a major release, one command and a reboot", "9.0", "9.3", "auto " + releaseURL + "|reboot"},
		{"from a release without minor", "10", "10.1", "auto " + releaseURL + "|reboot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			steps, err := UpgradeSteps(tt.from, tt.to, releaseURL)
			require.NoError(t, err)
			var got []string
			for _, s := range steps {
				require.Equal(t, "sysupgrade", s.Command[0])
				got = append(got, strings.Join(s.Command[1:], " "))
				if s.Reboot {
					got = append(got, "reboot")
				}
				assert.NotEmpty(t, s.Why)
			}
			assert.Equal(t, tt.want, strings.Join(got, "|"))
		})
	}
}

func TestUpgradeStepsRefuses(t *testing.T) {
	tests := []struct{ name, from, to, url, want string }{
		{"a downgrade", "9.3", "9.0", releaseURL, "is older"},
		{"a downgrade of the major", "10.0", "9.3", releaseURL, "is older"},
		{"the same version", "9.0", "9.0", releaseURL, "runs already"},
		{"the same version, spelt differently", "10.0", "10", releaseURL, "runs already"},
		{"a skipped major release", "8.0", "10.0", releaseURL, "skips a major release: upgrade 8.0 to 9 first"},
		{"no version", "", "10", releaseURL, "is not a version"},
		{"a word", "9.0", "ten", releaseURL, "is not a version"},
		{"a version of current", "9.99.1", "10", releaseURL, "is not a version"},
		{"a number that is none", "9.0", "10.-1", releaseURL, "is not a version"},
		{"a number out of range", "9.0", "9999999999.0", releaseURL, "is not a version"},
		{"no URL", "9.0", "10", "", "is not an http"},
		{"a path", "9.0", "10", "/tmp/release", "is not an http"},
		{"another scheme", "9.0", "10", "file:///tmp", "is not an http"},
		{"no host", "9.0", "10", "https:///tmp", "has no host"},
		{"not parsable", "9.0", "10", "http://a b/", "is not a URL"},
		{"a command", "9.0", "10", "http://a/$(reboot)", "a shell would read"},
		{"two commands", "9.0", "10", "http://a/;reboot", "a shell would read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			steps, err := UpgradeSteps(tt.from, tt.to, tt.url)
			assert.Nil(t, steps)
			var refused *ValueError
			require.ErrorAs(t, err, &refused)
			assert.Contains(t, err.Error(), tt.want)
		})
	}
}

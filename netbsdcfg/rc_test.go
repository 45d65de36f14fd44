package netbsdcfg

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseRC(t *testing.T, text string) *RC {
	t.Helper()
	rc, err := ParseRC("rc.conf", []byte(text))
	require.NoError(t, err)
	require.Equal(t, text, string(rc.Bytes()))
	return rc
}

func TestSmoke(t *testing.T) {
	rc := parseRC(t, "if [ -r /etc/defaults/rc.conf ]; then\n\t. /etc/defaults/rc.conf\nfi\nrc_configured=YES\ndefaultroute=\"192.168.14.254\"\t# home\npf=YES npf=no\n")
	v, ok := rc.Get("defaultroute")
	assert.True(t, ok)
	assert.Equal(t, "192.168.14.254", v)
	require.NoError(t, rc.Set("defaultroute", "10.0.0.1"))
	assert.Equal(t, "", rc.Changes())
	assert.True(t, rc.Comment("defaultroute"))
	assert.Equal(t, "", rc.Changes())
	assert.True(t, rc.Uncomment("defaultroute"))
	assert.True(t, rc.Unset("pf"))
	require.NoError(t, rc.Enable("sshd", true))
	assert.Equal(t, "", rc.Changes())
}

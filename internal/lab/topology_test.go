package lab

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheOldPathOfATopologyAnswers(t *testing.T) {
	top := StartTopology(t)
	StartEcho(t, top.Guest)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, path := range []struct{ guest, client string }{
		{"192.0.2.2", "198.51.100.10"},
		{"2001:db8:4::2", "2001:db8:1::10"},
	} {
		for _, s := range echoed {
			seen, err := Probe(ctx, top.Client, s.proto, net.JoinHostPort(path.guest, s.port))
			require.NoError(t, err, "%s %s", s.proto, s.port)
			assert.Equal(t, path.client, seen.String())
		}
	}
	seen, err := Probe(ctx, top.Guest, "tcp", "192.168.1.2:25")
	require.NoError(t, err)
	assert.Equal(t, "192.168.1.2", seen.String())
	_, err = Probe(ctx, top.Client, "tcp", "203.0.113.5:25")
	assert.Error(t, err, "the router has not heard of the guest")
}

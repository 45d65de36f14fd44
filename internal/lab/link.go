package lab

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"
)

// A Line is what a link between two hosts is like, in each direction.
type Line struct {
	Delay time.Duration // one way
	Rate  int64         // bits per second; 0 is no limit
	Queue int           // how many packets of 1500 bytes wait for their turn before the next is dropped; 0 is 1000
	Loss  float64       // share of packets that are lost, 0 to 1
}

// A Link joins two network namespaces that have nothing else but loopback.
type Link struct{ A, B LinkEnd }

// A LinkEnd is one of the two hosts.
type LinkEnd struct {
	Host
	Addr netip.Addr // of the interface wan0, which can be reached from the other end
}

// StartLink makes a link that lasts as long as the test. It needs root, and Linux.
func StartLink(t testing.TB, line Line) *Link {
	t.Helper()
	Need(t, "ip")
	link, closeLink, err := OpenLink(line)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, os.ErrPermission) {
		skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeLink(); err != nil {
			t.Error(err)
		}
	})
	return link
}

package wgpeer

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// manyPeers is an interface with that many, each with an address of both families.
func manyPeers(n int) Interface {
	i := Interface{Iface: "wgmany", PrivateKey: testKey(0xffff)}
	for p := range n {
		i.Peers = append(i.Peers, Peer{
			PublicKey: testKey(p + 1).Public(),
			AllowedIPs: []netip.Prefix{
				netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(p >> 8), byte(p)}), 32),
				netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 14: byte(p >> 8), 15: byte(p)}), 128),
			},
			Keepalive: 25 * time.Second,
		})
	}
	return i
}

// changed is the interface with another keepalive of its last peer, in turns.
func changed(i Interface, turn int) Interface {
	i.Peers[len(i.Peers)-1].Keepalive = time.Duration(25+turn%2) * time.Second
	return i
}

func BenchmarkDiff(b *testing.B) {
	for _, n := range []int{1_000, 4_000} {
		b.Run(fmt.Sprintf("fake/peers=%d", n), func(b *testing.B) {
			i, c := manyPeers(n), newFake("wgmany")
			apply(b, c, "wgmany", i)
			i = changed(i, 1)
			b.ReportAllocs()
			for b.Loop() {
				plan, err := Diff(b.Context(), c, "wgmany", i)
				require.NoError(b, err)
				require.False(b, plan.Empty())
			}
			perPeer(b, n)
		})
	}
}

// One peer of many changes on a device in userspace: by Diff and Apply, by DiffPeer and
// Apply, and by "wg syncconf" with the whole file.
func BenchmarkApplyOneChange(b *testing.B) {
	for _, n := range []int{1_000, 4_000} {
		host := lab.NewHost(b, fmt.Sprintf("wgmany%d", n))
		b.Run(fmt.Sprintf("userspace/Diff/peers=%d", n), func(b *testing.B) {
			i, c, turn := manyPeers(n), startDevice(b, host, "wgmany"), 0
			apply(b, c, "wgmany", i)
			for b.Loop() {
				turn++
				plan, err := Diff(b.Context(), c, "wgmany", changed(i, turn))
				require.NoError(b, err)
				require.NoError(b, Apply(b.Context(), plan))
			}
			perPeer(b, n)
		})
		b.Run(fmt.Sprintf("userspace/DiffPeer/peers=%d", n), func(b *testing.B) {
			i, c, turn := manyPeers(n), startDevice(b, host, "wgmany"), 0
			apply(b, c, "wgmany", i)
			for b.Loop() {
				turn++
				plan, err := DiffPeer(b.Context(), c, "wgmany", changed(i, turn).Peers[n-1])
				require.NoError(b, err)
				require.NoError(b, Apply(b.Context(), plan))
			}
			perPeer(b, n)
		})
		b.Run(fmt.Sprintf("userspace/syncconf/peers=%d", n), func(b *testing.B) {
			lab.Need(b, "wg")
			i, c, turn := manyPeers(n), startDevice(b, host, "wgmany"), 0
			apply(b, c, "wgmany", i)
			var paths [2]string
			for turn := range paths {
				out, err := changed(i, turn).Setconf()
				require.NoError(b, err)
				paths[turn] = filepath.Join(b.TempDir(), "wgmany.conf")
				require.NoError(b, os.WriteFile(paths[turn], out.Data, 0o600))
			}
			for b.Loop() {
				turn++
				out, err := exec.Command("wg", "syncconf", "wgmany", paths[turn%2]).CombinedOutput()
				require.NoError(b, err, "%s", out)
			}
			perPeer(b, n)
		})
	}
}

func perPeer(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/peer")
}

package zone

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bigZone has n records as people write them: several to a host, comments,
// parentheses, some 45 bytes each.
func bigZone(n int) []byte {
	var b strings.Builder
	b.WriteString("$TTL 3600\n@\tIN\tSOA\tns1 hostmaster (\n\t\t2024010101 ; serial\n\t\t3h 1h 1w 5m )\n\tIN\tNS\tns1\nns1\tIN\tA\t192.0.2.1\n")
	for i := 0; 4*i+3 < n; i++ {
		fmt.Fprintf(&b, "; customer %d\nhost%d\tIN\tA\t192.0.2.%d ; rack %d\n\t300\tIN\tAAAA\t2001:db8::%x\n\t\tMX\t10 ns1\nmail%d\tTXT\t( \"v=spf1 ip4:192.0.2.%d\"\n\t\t\" -all\" )\n",
			i, i, i%256, i%40, i%65536, i, i%256)
	}
	return []byte(b.String())
}

// benchmarkSizes runs f at sizes a factor of ten apart, so that the cost of a
// record shows whether it grows with the zone.
func benchmarkSizes(b *testing.B, f func(b *testing.B, data []byte, records int)) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			data := bigZone(n)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			f(b, data, n)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, data []byte, _ int) {
		for b.Loop() {
			_, err := Parse("zone", "example.net.", data)
			require.NoError(b, err)
		}
	})
}

// BenchmarkEdit is the whole way of a typical change.
func BenchmarkEdit(b *testing.B) {
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	benchmarkSizes(b, func(b *testing.B, data []byte, records int) {
		host := fmt.Sprintf("host%d", records/8)
		for b.Loop() {
			f, err := Parse("zone", "example.net.", data)
			require.NoError(b, err)
			require.Len(b, f.Lookup(host, "A"), 1)
			require.NoError(b, f.Replace(host, "A", Address(host, netip.MustParseAddr("203.0.113.63"))))
			_, err = f.Bump(DateCounter, now)
			require.NoError(b, err)
			_, err = f.WriteTo(io.Discard)
			require.NoError(b, err)
		}
	})
}

// BenchmarkThousandLookups would take a thousand times BenchmarkParse if a
// Lookup were a scan.
func BenchmarkThousandLookups(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, data []byte, records int) {
		f, err := Parse("zone", "example.net.", data)
		require.NoError(b, err)
		for b.Loop() {
			for i := range 1000 {
				require.Len(b, f.Lookup(fmt.Sprintf("host%d", i*(records/4-1)/1000), "A"), 1)
			}
		}
	})
}

func BenchmarkAll(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, data []byte, records int) {
		f, err := Parse("zone", "example.net.", data)
		require.NoError(b, err)
		for b.Loop() {
			n := 0
			for range f.All() {
				n++
			}
			require.InDelta(b, records, n, 4)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, data []byte, _ int) {
		f, err := Parse("zone", "example.net.", data)
		require.NoError(b, err)
		for b.Loop() {
			require.NoError(b, f.Check().Err())
		}
	})
}

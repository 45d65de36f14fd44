package pfrules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// manyRules is a pf.conf of n rules, every tenth with a comment, of which routes
// have a route option.
func manyRules(n, routes int) string {
	var b strings.Builder
	b.WriteString("ext_if = \"vioif0\"\nset skip on lo0\n")
	for i := range n {
		if i%10 == 0 {
			fmt.Fprintf(&b, "# customer %d\n", i/10)
		}
		route := ""
		if i < routes {
			route = "reply-to (vioif0 192.0.2.1) "
		}
		fmt.Fprintf(&b, "pass in on $ext_if %sinet proto { tcp udp } from 10.%d.%d.0/24 to 192.0.2.%d port { %d %d:%d }\n",
			route, i/256%256, i%256, i%250, 1000+i%999, 3000+i%999, 5000+i%999)
	}
	return b.String()
}

var sizes = []int{1_000, 10_000}

func perLine(b *testing.B, n int) {
	b.ReportAllocs()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/line")
}

// One parse and one new block, as an edit of a file on disk has them.
func BenchmarkParseAndSetBlock(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := []byte(manyRules(n, 1))
			for b.Loop() {
				f, err := Parse("pf.conf", NetBSD, text)
				require.NoError(b, err)
				require.NoError(b, f.SetBlock("uplink", FilterEnd, via))
			}
			perLine(b, n)
		})
	}
}

func BenchmarkAll(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := parse(b, NetBSD, manyRules(n, 1))
			for b.Loop() {
				rules := 0
				for range f.All() {
					rules++
				}
				require.Equal(b, n, rules)
			}
			perLine(b, n)
		})
	}
}

// Check compares each route rule with all others: one, and all of them, which is
// where the bound on that comes in.
func BenchmarkCheck(b *testing.B) {
	for _, n := range sizes {
		for _, routes := range []int{1, n} {
			b.Run(fmt.Sprintf("%d/routes=%d", n, routes), func(b *testing.B) {
				f := parse(b, NetBSD, manyRules(n, routes))
				for b.Loop() {
					require.NoError(b, f.Check().Err())
				}
				perLine(b, n)
			})
		}
	}
}

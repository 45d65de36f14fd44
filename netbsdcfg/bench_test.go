package netbsdcfg_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rehost/rehost/netbsdcfg"
)

// longIfconfig has n lines: commands, addresses, comments and a continuation.
func longIfconfig(n int) []byte {
	var b strings.Builder
	b.WriteString("inet 172.16.1.4/24\n")
	for i := 1; i < n; i += 4 {
		fmt.Fprintf(&b, "# peer %d\n!wgconfig $int delete peer p%d\ninet6 2001:db8::%x/128 \\\n    alias\n", i, i, i&0xffff)
	}
	return []byte(b.String())
}

func BenchmarkIfconfigAddCommand(b *testing.B) {
	for _, lines := range []int{1000, 10000} {
		b.Run(fmt.Sprint(lines), func(b *testing.B) {
			data := longIfconfig(lines)
			b.ReportAllocs()
			for b.Loop() {
				f, err := netbsdcfg.ParseIfconfig("ifconfig.wg0", data)
				if err != nil {
					b.Fatal(err)
				}
				if err := f.AddCommand("wgconfig", "wg0", "delete", "peer", "last"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
		})
	}
}

func BenchmarkIfconfigCommands(b *testing.B) {
	for _, lines := range []int{1000, 10000} {
		b.Run(fmt.Sprint(lines), func(b *testing.B) {
			f, err := netbsdcfg.ParseIfconfig("ifconfig.wg0", longIfconfig(lines))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if len(f.Commands("wg0")) < lines/2 {
					b.Fatal("too few commands")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
		})
	}
}

package netbsdcfg

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkRC(b *testing.B) {
	for _, lines := range []int{1_000, 10_000} {
		var text strings.Builder
		text.WriteString(rcDefaults)
		for i := range lines - 5 {
			if i%4 == 0 {
				fmt.Fprintf(&text, "# service %d\n", i)
			} else {
				fmt.Fprintf(&text, "service%d=\"NO -x %d\"\t# why\n", i, i)
			}
		}
		data := []byte(text.String())
		b.Run(fmt.Sprintf("parse and one edit/lines=%d", lines), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rc, err := ParseRC("rc.conf", data)
				if err != nil || rc.Set("service501", "YES") != nil {
					b.Fatal("not set")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
		})
	}
}

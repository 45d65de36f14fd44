package bhyve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkParseAndSet(b *testing.B) {
	for _, lines := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			var text strings.Builder
			for i := range lines / 2 {
				fmt.Fprintf(&text, "# Disk %d holds the data of one customer.\ndisk%d_name=\"disk%d.img\" # c\n", i, i, i)
			}
			data := []byte(text.String())
			key := fmt.Sprintf("disk%d_name", lines/2-1)
			b.ReportAllocs()
			for b.Loop() {
				f, err := Parse("big.conf", data)
				require.NoError(b, err)
				require.NoError(b, f.Set(key, "other.img"))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, lines := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			var text strings.Builder
			for i := range lines / 2 {
				fmt.Fprintf(&text, "disk%d_type=\"virtio-blk\"\ndisk%d_name=\"disk%d.img\" # c\n", i, i, i)
			}
			f := parse(b, text.String())
			b.ReportAllocs()
			for b.Loop() {
				f.Check()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(lines), "ns/line")
		})
	}
}

package zone

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

func big(n int) []byte {
	var b bytes.Buffer
	b.WriteString("$TTL 3600\n@ IN SOA ns1 hostmaster (\n\t2026112201 ; serial\n\t3600 900 604800 300 )\n\tIN NS ns1\nns1 IN A 192.0.2.1\n")
	for i := 0; i < n; i++ {
		switch i % 10 {
		case 3:
			fmt.Fprintf(&b, "\t\t\tIN\tAAAA\t2001:db8::%x\n", i%65536)
		case 5:
			fmt.Fprintf(&b, "; a comment about host%07d\nhost%07d\t300\tIN\tA\t192.0.2.%d\n", i, i, i%256)
		case 7:
			fmt.Fprintf(&b, "host%07d\tIN\tTXT\t( \"some text\"\n\t\"more of it\" ) ; comment\n", i)
		default:
			fmt.Fprintf(&b, "host%07d\t\tIN\tA\t192.0.2.%d\n", i, i%256)
		}
	}
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	data := big(1000000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Parse("x", "example.net", data); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTmp(t *testing.T) {
	data, _ := os.ReadFile("/tmp/ex/zz")
	f, err := Parse("x", "example.net", data)
	if err != nil {
		t.Fatal(err)
	}
	for r := range f.All() {
		fmt.Println(r.Owner, *r.TTL, r.Type, r.Data, r.Line)
	}
	fmt.Println(f.Lookup("w", "A"))
	if !bytes.Equal(data, f.Bytes()) {
		t.Fatal("bytes")
	}
	var b bytes.Buffer
	f.WriteTo(&b)
	if !bytes.Equal(data, b.Bytes()) {
		t.Fatal("bytes")
	}
}

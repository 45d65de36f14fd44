// Command speed makes a big zone, and does to it what speed.sh measures. The last
// line it prints is its peak memory, from the kernel's own count.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/rehost/rehost/zone"
)

const (
	origin = "example.net."
	host   = "host777"
)

func main() {
	log.SetFlags(0)
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "make":
		err = makeZone(args[0], args[1])
	case "edit":
		err = edit(args[0], args[1])
	case "save":
		err = save(args[0])
	case "miekg":
		err = miekg(args[0])
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := printPeak(); err != nil {
		log.Fatal(err)
	}
}

// makeZone writes a zone of n records, some 45 bytes each with its share of
// comments, blank owners and parentheses.
func makeZone(path, n string) error {
	records, err := strconv.Atoi(n)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprint(out, "$TTL 3600\n@\tIN\tSOA\tns1 hostmaster (\n\t\t2024010101 ; serial\n\t\t3h 1h 1w 5m )\n\tIN\tNS\tns1\nns1\tIN\tA\t192.0.2.1\n")
	for i := 0; 4*i+3 < records; i++ {
		fmt.Fprintf(out, "; customer %d, the contract says: keep\nhost%d\tIN\tA\t192.0.2.%d ; rack %d\n", i, i, i%256, i%40)
		fmt.Fprintf(out, "\t300\tIN\tAAAA\t2001:db8::%x\n\t\tMX\t10 ns1\n", i%65536)
		fmt.Fprintf(out, "mail%d\tTXT\t( \"v=spf1 ip4:192.0.2.%d\"\n\t\t\" -all\" )\n", i, i%256)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// change is what one edit of a zone is.
func change(path string) (*zone.File, error) {
	f, err := zone.Open(path, origin, nil)
	if err != nil {
		return nil, err
	}
	if len(f.Lookup(host, "A")) != 1 {
		return nil, fmt.Errorf("%s is not there", host)
	}
	if err := f.Replace(host, "A", zone.Address(host, netip.MustParseAddr("203.0.113.63"))); err != nil {
		return nil, err
	}
	_, err = f.Bump(zone.DateCounter, time.Now())
	return f, err
}

func edit(path, to string) error {
	f, err := change(path)
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := f.WriteTo(out); err != nil {
		return err
	}
	return out.Close()
}

// save prints how long Save itself takes, in seconds.
func save(path string) error {
	f, err := change(path)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := f.Save(context.Background()); err != nil {
		return err
	}
	fmt.Printf("save %.6f\n", time.Since(start).Seconds())
	return nil
}

func miekg(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p := dns.NewZoneParser(bufio.NewReaderSize(f, 1<<20), origin, path)
	for _, ok := p.Next(); ok; _, ok = p.Next() {
	}
	return p.Err()
}

// printPeak prints VmHWM, in bytes.
func printPeak() error {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return err
	}
	defer status.Close()
	text, err := io.ReadAll(status)
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	fmt.Println("peak", kilobytes*1024)
	return err
}

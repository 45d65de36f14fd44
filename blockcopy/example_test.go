package blockcopy_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/rehost/rehost/blockcopy"
)

// disks makes a folder with an image of 1 MiB, as a disk would be, and goes there until
// leave is called.
func disks() (leave func()) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	image := make([]byte, 1<<20)
	copy(image[300_000:], "the content of a disk")
	back, err := os.Getwd()
	if err := errors.Join(err, os.Chdir(dir), os.WriteFile("senate", image, 0o600)); err != nil {
		log.Fatal(err)
	}
	return func() {
		if err := errors.Join(os.Chdir(back), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

// The usual copy: with a journal, so that the same call goes on after whatever ended it.
func ExampleCopy() {
	defer disks()()
	src, err := blockcopy.OpenSource("senate")
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	dst, err := blockcopy.OpenTarget("disk0.img", src.Size())
	if err != nil {
		log.Fatal(err)
	}
	defer dst.Close()
	r, err := blockcopy.Copy(context.Background(), dst, src, &blockcopy.Options{Journal: "disk0.img.journal"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("complete:", r.State == blockcopy.Complete)
	fmt.Println("moved", r.Moved, "zero", r.Zero, "of", r.Size)
	fmt.Println(r.Digest)
	// Output:
	// complete: true
	// moved 16384 zero 1032192 of 1048576
	// 969a184135f4385e3a62442679968100da1213a2c9a48edd57519c20127797dc
}

// A machine that runs is copied once while it runs, and what has changed since when it
// has stopped.
func ExampleCopy_live() {
	defer disks()()
	copyDisk := func(pass blockcopy.Pass) blockcopy.Result {
		src, err := blockcopy.OpenSource("senate")
		if err != nil {
			log.Fatal(err)
		}
		defer src.Close()
		dst, err := blockcopy.OpenTarget("disk0.img", src.Size())
		if err != nil {
			log.Fatal(err)
		}
		defer dst.Close()
		r, err := blockcopy.Copy(context.Background(), dst, src, &blockcopy.Options{Pass: pass, Journal: "journal"})
		if err != nil {
			log.Fatal(err)
		}
		return r
	}

	copyDisk(blockcopy.Live)
	state, err := blockcopy.ReadState("journal")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("dirty:", state.State == blockcopy.Dirty)

	// The machine writes a last time, and stops.
	f, err := os.OpenFile("senate", os.O_WRONLY, 0)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("bye"), 700_000); err != nil {
		log.Fatal(err)
	}
	f.Close()

	r := copyDisk(blockcopy.Final)
	fmt.Println("complete:", r.State == blockcopy.Complete, "moved:", r.Moved)
	// Output:
	// dirty: true
	// complete: true moved: 16384
}

// The digest is the one that b3sum prints.
func ExampleVerify() {
	defer disks()()
	src, err := blockcopy.OpenSource("senate")
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	d, err := blockcopy.Sum(context.Background(), src)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("echo %v  %s | b3sum --check\n", d, filepath.Base(src.Path()))
	want, err := blockcopy.ParseDigest("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(blockcopy.Verify(context.Background(), src, want) == nil)
	// Output:
	// echo 969a184135f4385e3a62442679968100da1213a2c9a48edd57519c20127797dc  senate | b3sum --check
	// false
}

// Pushing a disk to another host, over the user's own ssh. The far program calls Receive
// with its standard input and output.
func ExampleCommand() {
	ctx := context.Background()
	src, err := blockcopy.OpenSource("/dev/vms/senate")
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	rw, err := blockcopy.Command(ctx, "ssh", "-o", "ServerAliveInterval=10", "host.example.net",
		"diskmove", "agent", "receive", "/vm/senate/disk0.img")
	if err != nil {
		log.Fatal(err)
	}
	r, err := blockcopy.Send(ctx, rw, src, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Digest)
}

// Pulling a disk from a host that has sh and dd, and nothing else.
func ExampleNewDD() {
	ctx := context.Background()
	src, err := blockcopy.NewDD(ctx, "/dev/vms/senate", "ssh", "-o", "ServerAliveInterval=10", "starkiller.example.net", "sudo", "-n")
	if err != nil {
		log.Fatal(err)
	}
	dst, err := blockcopy.OpenTarget("disk0.img", src.Size())
	if err != nil {
		log.Fatal(err)
	}
	defer dst.Close()
	r, err := blockcopy.Copy(ctx, dst, src, &blockcopy.Options{Journal: "disk0.img.journal", Streams: 2, Recheck: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Digest)
}

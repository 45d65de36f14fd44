// Speed is what speed.sh needs beside the shell: the image, the clock, the link,
// the table, and the library itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/internal/lab"
)

const usage = `image SIZE PATH           make the image of that many bytes
change PATH SEED          change a hundredth of it, in small places
run FILE SECTION NAME CMD ...  run a command, and add a line to the results: seconds and KiB
copy SRC DST              copy as cp does: with the digest, but neither flushed nor verified
port                      print a port of 127.0.0.1 that is free
link DELAY RATE           make a slow link, print its ends, and keep it until the input ends
table                     read results and targets, and print them`

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, usage) }
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := do(ctx, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "speed:", err)
		os.Exit(1)
	}
}

func do(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "image":
		size, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		return makeImage(args[2], size)
	case len(args) == 3 && args[0] == "change":
		seed, err := strconv.ParseUint(args[2], 10, 8)
		if err != nil {
			return err
		}
		return change(args[1], byte(seed))
	case len(args) > 4 && args[0] == "run":
		return run(ctx, args[1], args[2], args[3], args[4:])
	case len(args) == 1 && args[0] == "port":
		return port()
	case len(args) == 3 && args[0] == "copy":
		return copyLikeCp(ctx, args[1], args[2])
	case len(args) == 3 && args[0] == "link":
		return link(args[1], args[2])
	case len(args) == 1 && args[0] == "table":
		return table(os.Stdin, os.Stdout)
	}
	return errors.New(usage)
}

// run adds the wall time, and the most memory that one process of it had. Its streams
// are the command's: it stands in for the far end of a connection too.
func run(ctx context.Context, results, section, name string, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("%q: %w", argv, err)
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	f, err := os.OpenFile(results, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "result\t%s\t%s\t%f\t%d\n", section, name, took.Seconds(), usage.Maxrss)
	return errors.Join(err, f.Close())
}

func port() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	return l.Close()
}

// An unflushed target leaves its data to the kernel, as cp does.
type unflushed struct{ *blockcopy.TargetFile }

func (unflushed) Sync() error { return nil }

func copyLikeCp(ctx context.Context, from, to string) error {
	src, err := blockcopy.OpenSource(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := blockcopy.OpenTarget(to, src.Size())
	if err != nil {
		return err
	}
	r, err := blockcopy.Copy(ctx, unflushed{dst}, src, &blockcopy.Options{SkipVerify: true})
	fmt.Println(r.Digest)
	return errors.Join(err, dst.Close())
}

func link(delay, rate string) error {
	oneWay, err := time.ParseDuration(delay)
	if err != nil {
		return err
	}
	bits, err := strconv.ParseInt(rate, 10, 64)
	if err != nil {
		return err
	}
	l, closeLink, err := lab.OpenLink(lab.Line{Delay: oneWay, Rate: bits})
	if err != nil {
		return err
	}
	fmt.Println(l.A.Netns, l.B.Netns, l.B.Addr)
	io.Copy(io.Discard, os.Stdin)
	return closeLink()
}

package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// OpenLink makes a link; the function that it returns takes it away. The two ends
// are a TUN device each, and this process carries the packets: the kernel's own
// delay (netem) is not there in many virtual machines.
func OpenLink(line Line) (*Link, func() error, error) {
	if os.Geteuid() != 0 {
		return nil, nil, fmt.Errorf("a network namespace needs root: %w", os.ErrPermission)
	}
	l := &Link{
		A: LinkEnd{Host: Host{Netns: fmt.Sprintf("rehost-%d-a", os.Getpid())}, Addr: netip.MustParseAddr("192.0.2.1")},
		B: LinkEnd{Host: Host{Netns: fmt.Sprintf("rehost-%d-b", os.Getpid())}, Addr: netip.MustParseAddr("192.0.2.2")},
	}
	var undo []func() error
	var carriers sync.WaitGroup
	closeLink := func() error {
		var errs []error
		for i := len(undo) - 1; i >= 0; i-- {
			errs = append(errs, undo[i]())
		}
		carriers.Wait()
		return errors.Join(errs...)
	}
	var ends [2]*os.File
	for i, pair := range [][2]LinkEnd{{l.A, l.B}, {l.B, l.A}} {
		end, other := pair[0], pair[1]
		if err := ip("netns", "add", end.Netns); err != nil {
			return nil, nil, errors.Join(err, closeLink())
		}
		undo = append(undo, func() error { return errors.Join(endAll(end.Netns), ip("netns", "delete", end.Netns)) })
		tun, err := openTUN(end.Host)
		if err != nil {
			return nil, nil, errors.Join(err, closeLink())
		}
		undo = append(undo, tun.Close)
		ends[i] = tun
		for _, words := range [][]string{
			{"link", "set", "lo", "up"},
			{"address", "add", end.Addr.String(), "peer", other.Addr.String(), "dev", "wan0"},
			{"link", "set", "wan0", "up", "txqueuelen", "1000"},
		} {
			if err := ip(append([]string{"-n", end.Netns}, words...)...); err != nil {
				return nil, nil, errors.Join(err, closeLink())
			}
		}
	}
	carriers.Go(func() { line.carry(ends[0], ends[1]) })
	carriers.Go(func() { line.carry(ends[1], ends[0]) })
	return l, closeLink, nil
}

// openTUN makes the interface wan0 on a host: that of the thread which opens the
// device.
func openTUN(host Host) (*os.File, error) {
	fd := -1
	err := host.Do(func() (err error) {
		fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq("wan0")
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "wan0"), nil
}

// carry brings the packets of one direction over, until a device is closed.
func (l Line) carry(from, to *os.File) {
	type packet struct {
		arrives time.Time
		data    []byte
	}
	under := make(chan packet, 1<<16)
	defer close(under)
	go func() {
		for p := range under {
			if early := time.Until(p.arrives); early > 0 {
				<-time.After(early)
			}
			to.Write(p.data)
		}
	}()
	d := direction{Line: l}
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if arrives, ok := d.send(n, time.Now()); ok {
			under <- packet{arrives, append([]byte(nil), buf[:n]...)}
		}
	}
}

// A direction of a line is busy with what was sent until it is free.
type direction struct {
	Line
	free time.Time
}

// send returns when a packet of n bytes arrives, or false if it does not: it leaves
// when the line is free, takes the time of its bits, and arrives the delay later.
func (d *direction) send(n int, now time.Time) (arrives time.Time, ok bool) {
	const mtu = 1500
	queue := d.Queue
	if queue == 0 {
		queue = 1000
	}
	if d.free.Before(now) {
		d.free = now
	}
	if d.free.Sub(now) > d.bits(queue*mtu) || rand.Float64() < d.Loss {
		return time.Time{}, false
	}
	d.free = d.free.Add(d.bits(n))
	return d.free.Add(d.Delay), true
}

func (d *direction) bits(n int) time.Duration {
	if d.Rate == 0 {
		return 0
	}
	return time.Duration(float64(n*8) / float64(d.Rate) * float64(time.Second))
}

package rehearsal

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/zone"
)

// blockSize is that of the guest's filesystem, so to speak.
const blockSize = 4096

// A guest is the machine that moves, while it runs: a primary name server, a daemon that
// serves certificates, and a service that takes messages and keeps them on the disk.
type guest struct {
	service *server
	tls     *tlsDaemon
	dns     *nameServer

	mu       sync.Mutex
	disk     *os.File
	size     int64
	found    uint64 // the number of the last message on the disk when it booted
	messages uint64
	full     error // why it takes no message any more

	end  context.CancelFunc
	done sync.WaitGroup
}

// makeImage fills the disk of a machine that has lived: data, zeros that were written, and
// places where nothing ever was.
func makeImage(ctx context.Context, path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{1})
	data, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for off, i := int64(0), 0; off < size; off, i = off+int64(len(data)), i+1 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(int64(len(data)), size-off)
		switch i % 4 {
		case 0, 1:
			random.Read(data)
			_, err = f.WriteAt(data[:n], off)
		case 2:
			_, err = f.WriteAt(zeros[:n], off)
		}
		if err != nil {
			return err
		}
	}
	// The first block counts the messages.
	if _, err := f.WriteAt(counter(0), 0); err != nil {
		return err
	}
	return f.Close()
}

// startGuest boots from a disk. The certificates are those in the folder, or the old ones.
func startGuest(disk string, z *zone.File, certs *certsync.Dir, list []certsync.Certificate, old map[string]*certsync.Bundle) (g *guest, err error) {
	g = &guest{}
	defer func() {
		if err != nil {
			g.stop()
		}
	}()
	if g.disk, err = os.OpenFile(disk, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	info, err := g.disk.Stat()
	if err != nil {
		return nil, err
	}
	g.size = info.Size()
	if g.found, err = readCounter(g.disk); err != nil {
		return nil, err
	}
	g.messages = g.found
	if g.service, err = serve(g.answer); err != nil {
		return nil, err
	}
	if g.tls, err = startTLSDaemon(certs, list, old); err != nil {
		return nil, err
	}
	if g.dns, err = startNameServer(z.Origin()); err != nil {
		return nil, err
	}
	if err := g.dns.load(z); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.end = cancel
	g.done.Go(func() { g.live(ctx) })
	return g, nil
}

// stop ends everything, as "shutdown -p" does: what was written is on the disk.
func (g *guest) stop() error {
	for _, s := range []*server{g.service, g.tls.listener()} {
		if s != nil {
			s.stop()
		}
	}
	if g.dns != nil {
		g.dns.stop()
	}
	if g.end != nil {
		g.end()
	}
	g.done.Wait()
	if g.disk == nil {
		return nil
	}
	return errors.Join(g.full, g.disk.Sync(), g.disk.Close())
}

// live writes blocks here and there, as logs and mailboxes do.
func (g *guest) live(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	random := rand.NewChaCha8([32]byte{2})
	block := make([]byte, blockSize)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		random.Read(block)
		place := 1 + int64(random.Uint64()%uint64(g.size/blockSize-1))
		if _, err := g.disk.WriteAt(block, place*blockSize); err != nil {
			g.mu.Lock()
			g.full = err
			g.mu.Unlock()
			return
		}
	}
}

// What a client may ask of the service, on a line; the answer is a line with a number.
const (
	deliver = "deliver" // take a message; its number
	found   = "found"   // the last message that was on the disk when the guest booted
)

func (g *guest) answer(conn net.Conn) {
	line, err := bufio.NewReaderSize(conn, 64).ReadString('\n')
	if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch line {
	case found + "\n":
		fmt.Fprintln(conn, g.found)
	case deliver + "\n":
		if g.full != nil {
			return
		}
		// It is on the disk before the client hears of it.
		if _, g.full = g.disk.WriteAt(counter(g.messages+1), 0); g.full == nil {
			g.messages++
			fmt.Fprintln(conn, g.messages)
		}
	}
}

// counter is the block that holds a number, twice, so that half a write shows.
func counter(n uint64) []byte {
	block := make([]byte, blockSize)
	binary.BigEndian.PutUint64(block, n)
	binary.BigEndian.PutUint64(block[blockSize-8:], ^n)
	return block
}

func readCounter(disk *os.File) (uint64, error) {
	block := make([]byte, blockSize)
	if _, err := disk.ReadAt(block, 0); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint64(block)
	if again := binary.BigEndian.Uint64(block[blockSize-8:]); n != ^again {
		return 0, errors.New("the guest does not boot from the disk: its first block is not whole")
	}
	return n, nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/blockcopy"
)

const (
	labDiskSize = 2 << 30
	labDiskFull = 256 << 20 // what the guest has ever written; the rest is a hole
	labJournal  = "/vm/senate/disk0.img.journal"
)

// A labDisk is the guest's disk at the old host, to which the guest writes.
type labDisk struct {
	path, home string // there and, as diskmove makes it, at home
	stop       context.CancelFunc
	written    chan error
}

// makeDisk makes the disk where the runbook has it, and a place for it at home.
func (l *labMove) makeDisk() {
	t := l.t
	dir := t.TempDir()
	l.disk = &labDisk{path: filepath.Join(dir, "senate"), home: filepath.Join(dir, "garage/disk0.img")}
	f, err := os.Create(l.disk.path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(labDiskSize))
	random := rand.NewChaCha8([32]byte{})
	block := make([]byte, 1<<20)
	for n := int64(0); n < labDiskFull; n += int64(len(block)) {
		random.Read(block)
		_, err := f.WriteAt(block, 4*n) // with holes between
		require.NoError(t, err)
	}
	require.NoError(t, os.Mkdir(filepath.Dir(l.disk.home), 0o755))
	require.NoError(t, os.Mkdir(l.net.starkiller.path("/dev/vms"), 0o755))
	require.NoError(t, os.Symlink(l.disk.path, l.net.starkiller.path("/dev/vms/senate")))
	// A disk is too large for the lab's files, which are in the memory.
	require.NoError(t, os.MkdirAll(l.net.garage.path("/vm"), 0o755))
	require.NoError(t, os.Symlink(filepath.Dir(l.disk.home), l.net.garage.path("/vm/senate")))
}

// use writes small blocks to the disk, as a machine that runs does, until the stop.
func (d *labDisk) use(ctx context.Context) {
	ctx, d.stop = context.WithCancel(ctx)
	d.written = make(chan error, 1)
	go func() {
		f, err := os.OpenFile(d.path, os.O_WRONLY, 0)
		if err != nil {
			d.written <- err
			return
		}
		defer f.Close()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := uint64(0); ; n++ {
			select {
			case <-ctx.Done():
				d.written <- f.Sync()
				return
			case <-tick.C:
			}
			block := bytes.Repeat(fmt.Appendf(nil, "%016x", n), 256)
			if _, err := f.WriteAt(block, rand.Int64N(labDiskSize/4096)*4096); err != nil {
				d.written <- err
				return
			}
		}
	}()
}

// joinHosts lets garage log in to starkiller, as the move expects it, and sudo there do
// what it is told.
func (l *labMove) joinHosts() {
	t, garage, starkiller := l.t, l.net.garage, l.net.starkiller
	starkiller.sh(t, "mkdir -p -m 700 /root/.ssh && rm -rf /etc/ssh/* && ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key")
	garage.sh(t, "rm -rf /root/.ssh && mkdir -m 700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
	starkiller.write(t, 0o600, "/root/.ssh/authorized_keys", fileText(t, garage.path("/root/.ssh/id_ed25519.pub")),
		"/etc/ssh/sshd_config", "UsePAM no\nUseDNS no\nPermitRootLogin prohibit-password\n")
	starkiller.write(t, 0o755, "/usr/local/bin/sudo", "#!/bin/sh\n[ \"$1\" = -n ] || exit 1\nshift\nexec \"$@\"\n")
	garage.write(t, 0o600, "/root/.ssh/known_hosts", "starkiller "+fileText(t, starkiller.path("/etc/ssh/ssh_host_ed25519_key.pub")),
		"/root/.ssh/config", "Host starkiller\n\tHostName "+labStarkiller+"\n\tHostKeyAlias starkiller\n\tBatchMode yes\n")
	require.NoError(t, os.MkdirAll(starkiller.path("/run/sshd"), 0o755))
	starkiller.start(t, "sshd", "nice /usr/sbin/sshd -D -e", "", func() error {
		_, err := garage.try("ssh starkiller true")
		return err
	})
}

// A labPass is what diskmove says at the end of a pass.
type labPass struct {
	State, Digest, Error string
	Moved, Resumed       int64
}

// pass runs a copy of the runbook's, which tells what it did in JSON.
func (l *labMove) pass(title string) labPass {
	return l.passOf(l.run(l.net.garage, l.passLine(title)))
}

// passLine is its line. The processors here are those of the guest and of its clients too,
// which a copy between two other machines would leave alone.
func (l *labMove) passLine(title string) string {
	return "nice " + strings.Replace(l.step(title).Run[0], "diskmove copy ", "diskmove copy -json ", 1)
}

func (l *labMove) passOf(out string) (p labPass) {
	for line := range strings.Lines(out) {
		if strings.Contains(line, `"msg":"result"`) {
			require.NoError(l.t, json.Unmarshal([]byte(line), &p))
		}
	}
	require.NotEmpty(l.t, p.State, out)
	return p
}

// interrupt begins the live pass, and ends it with SIGTERM once some of it is in the journal.
func (l *labMove) interrupt(title string) labPass {
	t := l.t
	// At this rate it is not over before.
	cmd := l.net.garage.shell("exec " + strings.Replace(l.passLine(title), " -json ", " -json -rate 16 ", 1))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for durable := int64(0); durable == 0; { // with no limit: on a busy machine, who is nice waits for long
		select {
		case err := <-ended:
			require.Fail(t, "it was over before it was interrupted", "%v: %s", err, &out)
		case <-again.C:
			state, _ := blockcopy.ReadState(l.net.garage.path(labJournal)) // which is not there yet
			durable = state.Durable
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Error(t, <-ended, "it was over before it was interrupted: %s", &out)
	p := l.passOf(out.String())
	assert.Contains(t, p.Error, "the same command goes on from here")
	return p
}

// sum is the digest of a disk.
func (l *labMove) sum(path string) string {
	f, err := blockcopy.OpenSource(path)
	require.NoError(l.t, err)
	defer f.Close()
	digest, err := blockcopy.Sum(l.t.Context(), f)
	require.NoError(l.t, err)
	return digest.String()
}

package lab

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f on a thread that is on the host: the sockets that f opens and the
// programs that it starts are the host's, and stay so. What f starts as a goroutine
// is not there, nor is what it leaves to one, such as a dial to one of several
// addresses.
func (h Host) Do(f func() error) error {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	away, err := os.Open("/run/netns/" + h.Netns)
	if err != nil {
		return err
	}
	defer away.Close()
	runtime.LockOSThread()
	if err := unix.Setns(int(away.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() { // also where f ends the test
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(err) // nothing this goroutine does is where it should be
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

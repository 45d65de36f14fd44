package blockcopy

import (
	"os"

	"golang.org/x/sys/unix"
)

// enlarge makes a pipe hold 1 MiB, which is what everybody may ask for (pipe(7)),
// instead of 64 KiB. Less will do.
func enlarge(pipe *os.File) {
	conn, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	conn.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
}

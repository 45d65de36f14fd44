package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// unshared is in the environment of the process that has the new namespaces, until
// they are furnished.
const unshared = "REHOST_LAB_UNSHARED"

// Isolate runs the process again in network, mount and process namespaces of its
// own, in which it may do as it likes: /run is empty, loopback is up, and what is
// left when it ends, processes and rules alike, the kernel takes away. Its os.TempDir is a
// new one, which is removed then, also after an interrupt. It returns
// in the process that is isolated; the other one exits with its status. Who is not
// root is root there. A TestMain calls it first. Where that is not allowed, as users
// on some systems may make namespaces and not mount anything in them, it returns all
// the same, and [NeedIsolation] skips what depends on it.
func Isolate() {
	if _, err := os.Stat(isolated); err == nil || os.Getenv(refused) != "" {
		return
	}
	if os.Getenv(unshared) != "" {
		os.Unsetenv(unshared)
		parent := os.NewFile(3, "parent")
		if err := furnish(); err != nil {
			fmt.Fprint(parent, err)
			os.Exit(2)
		}
		parent.Close()
		return
	}
	if err := isolate(); err != nil {
		os.Setenv(refused, err.Error())
	}
}

// isolate runs the process again and ends with it, or returns why it cannot.
func isolate() error {
	child, parent, err := os.Pipe()
	if err != nil {
		return err
	}
	defer child.Close()
	temp, err := os.MkdirTemp("", "lab") // short: the names of sockets have 107 bytes
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil { // daemons are other users
		return err
	}
	runtime.LockOSThread() // Pdeathsig is the death of the thread
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Args[0] = os.Args[0]
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.Env = append(os.Environ(), unshared+"=1", "TMPDIR="+temp)
	again.ExtraFiles = []*os.File{parent} // for what keeps it from furnishing them
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL, // go test kills a run that takes too long
	}
	if os.Geteuid() != 0 {
		again.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		again.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(ends)
	err = again.Start()
	parent.Close()
	if err != nil { // such as EPERM
		runtime.UnlockOSThread()
		return err
	}
	if reason, _ := io.ReadAll(child); len(reason) > 0 {
		again.Wait()
		runtime.UnlockOSThread()
		return errors.New(string(reason))
	}
	go func() {
		for end := range ends {
			again.Process.Signal(end)
		}
	}()
	err = again.Wait()
	os.RemoveAll(temp)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		os.Exit(exit.ExitCode())
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(2)
	}
	os.Exit(0)
	return nil
}

// furnish makes the new namespaces a place to live in.
func furnish() error {
	// Nothing that is mounted here shows outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range []struct{ what, where string }{
		{"proc", "/proc"}, // of the new process namespace
		{"sysfs", "/sys"}, // of the new network namespace
		{"tmpfs", "/run"}, // locks, sockets and names of namespaces
	} {
		if err := unix.Mount(m.what, m.where, m.what, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	if err := ip("link", "set", "lo", "up"); err != nil {
		return err
	}
	return os.WriteFile(isolated, nil, 0o600)
}

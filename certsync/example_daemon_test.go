package certsync_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"

	"github.com/rehost/rehost/certsync"
)

// A mail server and a web server share a certificate. The mail servers' reloads succeed also
// when they cannot use it, so that only the probes tell: of Postfix by STARTTLS, and by TLS
// from the start, and the same of Dovecot.
func ExampleDaemon() {
	const name = "mail.example.net"
	daemons := []certsync.Daemon{
		{
			Name:   "postfix",
			Reload: certsync.ReloadCommand("postfix", "reload"),
			Probe:  certsync.Probes(certsync.ProbeSMTP("127.0.0.1:25", name), certsync.ProbeTLS("127.0.0.1:465", name)),
		},
		{
			Name:   "dovecot",
			Reload: certsync.ReloadCommand("doveadm", "reload"),
			Probe:  certsync.Probes(certsync.ProbeIMAP("127.0.0.1:143", name), certsync.ProbeTLS("127.0.0.1:993", name)),
		},
		{
			Name:   "nginx",
			Reload: certsync.ReloadSignal("/var/run/nginx.pid", syscall.SIGHUP),
			Probe:  certsync.ProbeTLS("[::1]:443", name),
		},
	}
	for _, d := range daemons {
		fmt.Println(d.Name)
	}
	// Output:
	// postfix
	// dovecot
	// nginx
}

// An error has what the program said.
func ExampleReloadCommand() {
	reload := certsync.ReloadCommand("sh", "-c", "echo Dovecot is not running >&2; exit 75")
	err := reload(context.Background())
	if failed, ok := errors.AsType[*certsync.CommandError](err); ok {
		fmt.Printf("%s: %s: %v\n", failed.Args[0], failed.Stderr, failed.Err)
	}
	// Output: sh: Dovecot is not running: exit status 75
}

// A file without the number of one process, such as one that a crash left empty, signals
// nobody.
func ExampleReloadSignal() {
	file, err := os.CreateTemp("", "nginx.pid")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(file.Name())
	fmt.Fprintln(file, -1)
	err = certsync.ReloadSignal(file.Name(), syscall.SIGHUP)(context.Background())
	if failed, ok := errors.AsType[*certsync.ParseError](err); ok {
		fmt.Println(failed.Err)
	}
	// Output: -1 is not the number of a daemon
}

// Both servers should have the same certificate, and one of them has no time.
func ExampleProbes() {
	web := httptest.NewTLSServer(nil)
	defer web.Close()

	mail, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mail.Close()
	go func() {
		if conn, err := mail.Accept(); err == nil {
			fmt.Fprint(conn, "421 4.3.2 too busy\r\n")
			conn.Close()
		}
	}()

	both := certsync.Probes(certsync.ProbeTLS(web.Listener.Addr().String(), ""), certsync.ProbeSMTP(mail.Addr().String(), ""))
	_, err = both(context.Background())
	fmt.Println(strings.ReplaceAll(err.Error(), mail.Addr().String(), "198.51.100.25:25"))
	// Output: probe 2 of 2: 198.51.100.25:25: greeting: the server said "421 4.3.2 too busy"
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/certconf"
	"github.com/rehost/rehost/examples/internal/cli"
)

// sendMail tells people what happened. The addresses stand in the header alone, where -t
// finds them: they are no arguments, and nothing of the events gets into the header.
func sendMail(ctx context.Context, to *certconf.Notify, path string, events []certsync.Event, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	argv := []string{cmp.Or(to.Sendmail, "/usr/sbin/sendmail"), "-t", "-i"}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(message(to, path, events, now))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	// What delivers in the background may keep its standard error for as long as it likes.
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return &certsync.CommandError{Args: argv, Stderr: stderr.String(), Err: err}
	}
	return nil
}

// message is a mail (RFC 5322). On sendmail's standard input, line ends are those of the
// system.
func message(to *certconf.Notify, path string, events []certsync.Event, now time.Time) []byte {
	subject := "certificates are new"
	for _, e := range events {
		if e.Err != nil {
			subject = "certificates need a look"
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Date: %s\nFrom: %s\nTo: %s\nSubject: %s: %s\n",
		now.Format(time.RFC1123Z), to.From, strings.Join(to.To, ",\n "), hostname(), subject)
	// RFC 3834: no automatic answer to this, please.
	b.WriteString("Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
	for _, e := range events {
		b.WriteString(e.String() + "\n")
	}
	fmt.Fprintf(&b, "\ncertsyncd status %s shows what is installed.\n", path)
	return []byte(b.String())
}

func hostname() string { return cmp.Or(cli.Hostname(), "localhost") }

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/rehost/rehost/bhyve"
	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/examples/internal/move"
)

// passed is that a pass over the disk has ended: the final one leaves a copy that is
// complete, any other one that is dirty.
func passed(m *move.Move, image, text string, final bool) check {
	return check{Text: text, On: m.Hypervisor.Name, Files: true, How: "the journal of the copy is read",
		Try: func(_ context.Context, st *station) (string, error) {
			journal := st.path(image + ".journal")
			r, err := blockcopy.ReadState(journal)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return "", fmt.Errorf("%w: no pass was begun, or the journal was removed: run this step", err)
			case err != nil:
				return "", err
			case r.State == blockcopy.Incomplete:
				return "", fmt.Errorf("%s: the last pass was interrupted: give the same command again, it goes on from there", journal)
			case final && r.State != blockcopy.Complete:
				return "", fmt.Errorf("%s: the copy is %s, and blocks from before and after a write stand side by side: stop the guest and run the final pass", journal, r.State)
			}
			return fmt.Sprintf("%s, %s", r.State, r.Digest), nil
		}}
}

// multiUser is that the guest starts by itself.
func multiUser(m *move.Move, text string) check {
	return check{Text: text, On: m.Hypervisor.Name, Files: true, How: "the guest's file is read as vm-bhyve does",
		Try: func(_ context.Context, st *station) (string, error) {
			f, err := bhyve.Open(st.path(guestFile(m)))
			if err != nil {
				return "", missing(err, "install the rendered file")
			}
			if f.SingleUser() {
				line, err := singleUserLine(f)
				if err != nil {
					return "", err
				}
				return "", fmt.Errorf("%s:%d: -s is still there, and the guest would wait for somebody at its console: install the file of the last step", st.path(guestFile(m)), line)
			}
			return "", f.Check().Err()
		}}
}

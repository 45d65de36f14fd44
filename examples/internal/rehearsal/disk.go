package rehearsal

import (
	"context"
	"errors"
	"fmt"

	"github.com/rehost/rehost/blockcopy"
	"github.com/rehost/rehost/examples/internal/report"
)

// livePass copies the disk while the guest writes to it, is cut off on the way, and goes on
// from there.
func (r *rehearsal) livePass(ctx context.Context) error {
	first, err := r.copyDisk(ctx, blockcopy.Live, r.size()/10*6)
	if !errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return err
	}
	second, err := r.copyDisk(ctx, blockcopy.Live, 0)
	if err != nil {
		return err
	}
	d := &r.report.Disk
	d.Size, d.Live, d.Resumed = second.Size, first.Moved+second.Moved, second.Resumed
	if second.Resumed == 0 {
		err = errors.New("all of it was done again")
	}
	r.check("a live pass that is cut off goes on where it was", "cancelled after 40 %, and called again with its journal",
		fmt.Sprintf("%s of %s were there already", report.Size(second.Resumed), report.Size(second.Size)), err)
	err = nil
	if second.State != blockcopy.Dirty {
		err = fmt.Errorf("the copy is %s", second.State)
	}
	r.check("what was copied while the guest ran is not taken for its disk", "the state in the journal", second.State.String(), err)
	return nil
}

// secondPass is short, since only what the guest has written has to move.
func (r *rehearsal) secondPass(ctx context.Context) error {
	result, err := r.copyDisk(ctx, blockcopy.Live, 0)
	if err != nil {
		return err
	}
	if before := r.report.Disk.Live; result.Moved >= before {
		err = fmt.Errorf("it moved %s, and the first one %s", report.Size(result.Moved), report.Size(before))
	}
	r.check("a second live pass moves only what has changed", "blockcopy, with the copy of before", report.Size(result.Moved), err)
	r.report.Disk.Live += result.Moved
	return nil
}

// stopGuest is the moment from which on nothing answers.
func (r *rehearsal) stopGuest(context.Context) error {
	r.watch.End(oldPath)
	r.silentFrom = r.now() // what is asked from here on may be cut off
	r.watch.Settle()
	r.router.leadTo(nil)
	err := r.guest.stop()
	r.guest = nil
	r.delivered = r.client.acks.get()
	return err
}

// finalPass moves what has changed since, and compares both disks.
func (r *rehearsal) finalPass(ctx context.Context) error {
	result, err := r.copyDisk(ctx, blockcopy.Final, 0)
	if err != nil {
		return err
	}
	r.report.Disk.Final = result.Moved
	r.report.Disk.Digest = result.Digest.String()
	if result.State != blockcopy.Complete {
		err = fmt.Errorf("the copy is %s", result.State)
	}
	r.check("the final pass ends the work of the live ones", "blockcopy, with the guest stopped", fmt.Sprintf("%s moved, %s", report.Size(result.Moved), result.Verified), err)
	return r.compareDisks(ctx, result.Digest)
}

func (r *rehearsal) compareDisks(ctx context.Context, want blockcopy.Digest) error {
	var errs []error
	for _, path := range []string{r.oldDisk(), r.homeDisk()} {
		f, err := blockcopy.OpenSource(path)
		if err != nil {
			return err
		}
		got, err := blockcopy.Sum(ctx, f)
		f.Close()
		if err != nil {
			return err
		}
		if got != want {
			errs = append(errs, fmt.Errorf("%s has %s", path, got))
		}
	}
	r.check("both disks are the same, to the byte", "BLAKE3 of each, read anew", want.String(), errors.Join(errs...))
	return nil
}

// copyDisk is one pass. The live ones go over a link, so to speak, which is down from one
// place of the disk on, unless that is 0, and cut when most of what came before is durable.
func (r *rehearsal) copyDisk(ctx context.Context, pass blockcopy.Pass, down int64) (blockcopy.Result, error) {
	disk, err := blockcopy.OpenSource(r.oldDisk())
	if err != nil {
		return blockcopy.Result{}, err
	}
	defer disk.Close()
	dst, err := blockcopy.OpenTarget(r.homeDisk(), disk.Size())
	if err != nil {
		return blockcopy.Result{}, err
	}
	defer dst.Close()
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	opt := &blockcopy.Options{Pass: pass, Journal: r.homeDisk() + ".journal", Progress: func(p blockcopy.Progress) {
		r.tell(float64(p.Durable) / float64(p.Size))
		if down > 0 && p.Durable >= down/3*2 {
			cut()
		}
	}}
	if pass == blockcopy.Live {
		opt.Rate = int64(float64(r.size()) / r.link.Seconds())
	}
	var src blockcopy.Source = disk
	if down > 0 {
		src = brokenLink{disk, down, ctx.Done()}
	}
	return blockcopy.Copy(ctx, dst, src, opt)
}

// A brokenLink lets a disk be read up to a place. Who reads on waits until it is cut.
type brokenLink struct {
	*blockcopy.SourceFile
	down int64
	cut  <-chan struct{}
}

func (l brokenLink) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > l.down {
		<-l.cut
		return 0, context.Canceled
	}
	return l.SourceFile.ReadAt(p, off)
}

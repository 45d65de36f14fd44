package zone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/miekg/dns"
)

// Freeze stops updates to a dynamic zone, and has named write what it knows to
// the zone's file, in its own form: comments are lost if there were updates since
// the last time. named goes on writing after Freeze has returned: use WhileFrozen
// to edit. The error is ErrFrozen if the zone is frozen, ErrStatic if it is not
// dynamic, ErrSecondary if it is written by its transfers alone.
func (r *RNDC) Freeze(ctx context.Context, origin string) error {
	s, err := r.Status(ctx, origin)
	switch {
	case err != nil:
		return err
	case s.Type != "primary":
		return fmt.Errorf("%s: %w", s.Origin, ErrSecondary)
	case !s.Dynamic:
		return fmt.Errorf("%s: %w", s.Origin, ErrStatic)
	case s.Frozen:
		return fmt.Errorf("%s: %w", s.Origin, ErrFrozen)
	}
	_, err = r.run(ctx, "freeze", origin)
	return err
}

// Thaw has named load the file and take updates again. It returns nil when it
// does, and also if the zone was not frozen. A zone whose file is broken stays
// frozen and serves its old data; Thaw looks until ctx ends, and the error is
// then ErrNotLoaded.
func (r *RNDC) Thaw(ctx context.Context, origin string) error {
	if _, err := r.run(ctx, "thaw", origin); err != nil {
		return err
	}
	return poll(ctx, func() (bool, error) {
		s, err := r.Status(ctx, origin)
		return err == nil && !s.Frozen, err
	}, func(ended error) error {
		return fmt.Errorf("%s is still frozen: %w (%w)", dns.Fqdn(origin), ErrNotLoaded, ended)
	})
}

// WhileFrozen freezes a dynamic zone, calls edit when named has written the zone
// to its file, and thaws the zone, whatever edit returned and even if ctx has
// ended. It returns the errors of both. If the zone is frozen already, the error
// is ErrFrozen, edit is not called, and the zone stays as it is.
//
// The path is the zone's file as this process sees it. The edit must read the
// file anew: what was read before the freeze lacks the updates. It must raise the
// serial, for named takes an edit without, and no secondary ever hears of it. The
// journal stays beside the file while it is frozen.
func (r *RNDC) WhileFrozen(ctx context.Context, origin, path string, edit func(context.Context) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	// An rndc that was killed may have frozen the zone all the same. So once it is
	// started, freezing is no longer given up.
	whatever := context.WithoutCancel(ctx)
	if err := r.withWait(whatever, func(ctx context.Context) error { return r.Freeze(ctx, origin) }); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%s may be frozen now (rndc thaw): %w", dns.Fqdn(origin), err)
		}
		return err
	}
	defer func() {
		thaw := r.withWait(whatever, func(ctx context.Context) error { return r.Thaw(ctx, origin) })
		if thaw == nil && err == nil {
			thaw = r.taken(whatever, origin, path)
		}
		err = errors.Join(err, thaw)
	}()
	if err := r.withWait(ctx, func(ctx context.Context) error { return r.written(ctx, origin, path) }); err != nil {
		return err
	}
	return edit(context.WithValue(ctx, frozen{apexName(origin)}, true))
}

// frozen is the key by which a context says that a zone is frozen.
type frozen struct{ origin string }

func apexName(origin string) string { return nameKey(dns.Fqdn(origin)) }

func (r *RNDC) withWait(ctx context.Context, do func(context.Context) error) error {
	wait := r.Wait
	if wait == 0 {
		wait = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return do(ctx)
}

// written waits until the file has the serial that named serves. The command
// freeze returns before named has written the file, and named would then replace
// what was edited in between.
func (r *RNDC) written(ctx context.Context, origin, path string) error {
	s, err := r.Status(ctx, origin)
	if err != nil {
		return err
	}
	var seen os.FileInfo
	var serial uint32
	return poll(ctx, func() (bool, error) {
		info, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		if seen == nil || !os.SameFile(seen, info) || !info.ModTime().Equal(seen.ModTime()) {
			if serial, err = fileSerial(path, origin); err != nil {
				return false, err
			}
			seen = info
		}
		return serial == s.Serial, nil
	}, func(ended error) error {
		return fmt.Errorf("%s: named has not written the frozen zone: it serves serial %d, the file has %d: is it the zone's file? (%w)", path, s.Serial, serial, ended)
	})
}

// taken says whether named serves what the file has. Updates may have come since.
func (r *RNDC) taken(ctx context.Context, origin, path string) error {
	serial, err := fileSerial(path, origin)
	if err != nil {
		return err
	}
	s, err := r.Status(ctx, origin)
	if err == nil && !atLeast(s.Serial, serial) {
		err = &ServedError{Origin: s.Origin, Want: serial, Loaded: true, Served: s.Serial, Err: ErrUpToDate}
	}
	return err
}

// fileSerial reads the serial of a zone's file. What that includes is relative to
// named's directory, which is not known here, and not needed.
func fileSerial(path, origin string) (uint32, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	f, err := Parse(path, origin, data)
	if err != nil {
		return 0, err
	}
	return f.Serial()
}

package zone

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// raise replaces the serial in a file and appends lines.
func raise(path string, from, to uint32, lines string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	edited := strings.Replace(string(text), strconv.Itoa(int(from)), strconv.Itoa(int(to)), 1)
	return os.WriteFile(path, []byte(edited+lines), 0o600)
}

func TestFreezeErasesCommentsWhereThereWereUpdates(t *testing.T) {
	s, r := primary(t, "allow-update { any; };")
	ctx := within(t, patience)
	require.NoError(t, r.WhileFrozen(ctx, "example.net", s.Path("example.net"), func(context.Context) error {
		text, err := os.ReadFile(s.Path("example.net"))
		assert.Equal(t, small(5), string(text), "nothing to write, nothing lost")
		return err
	}))
	update(t, s, "host")
	assert.FileExists(t, s.Path("example.net.jnl"))
	require.NoError(t, r.WhileFrozen(ctx, "example.net", s.Path("example.net"), func(context.Context) error {
		text, err := os.ReadFile(s.Path("example.net"))
		assert.Contains(t, string(text), "host", "the updates are in the file")
		assert.NotContains(t, string(text), "the only one")
		return err
	}))
}

func TestAnEditWhileFrozenOfAZoneThatIncludes(t *testing.T) {
	s, r := start(t, lab.Named{
		Config: `zone "example.net" { type primary; file "example.net"; allow-update { any; }; };`,
		Files:  map[string]string{"example.net": small(5, "$INCLUDE hosts"), "hosts": "www A 192.0.2.2\n"},
	})
	ctx := within(t, patience)
	path := s.Path("example.net")
	require.NoError(t, r.WhileFrozen(ctx, "example.net", path, func(ctx context.Context) error {
		f, err := Open(path, "example.net", &Options{Dir: s.Dir})
		require.NoError(t, err)
		require.NoError(t, f.Replace("www", "A", Record{Data: "192.0.2.3"}))
		_, err = f.Bump(Increment, time.Now())
		require.NoError(t, err)
		return f.Save(ctx)
	}))
	records, err := AXFR(ctx, "example.net", s.Addr, nil)
	require.NoError(t, err)
	assert.True(t, slices.ContainsFunc(records, func(r Record) bool { return r.Data == "192.0.2.3" }))
}

func TestFreezeOfAStaticZone(t *testing.T) {
	_, r := primary(t, "")
	ctx := within(t, patience)
	require.ErrorIs(t, r.Freeze(ctx, "example.net"), ErrStatic)
	assert.NoError(t, r.Thaw(ctx, "example.net"))
}

func TestFreezeTwice(t *testing.T) {
	s, r := primary(t, "allow-update { any; };")
	ctx := within(t, patience)
	require.NoError(t, r.Freeze(ctx, "example.net"))
	err := r.WhileFrozen(ctx, "example.net", s.Path("example.net"), func(context.Context) error {
		t.Error("somebody else is editing")
		return nil
	})
	require.ErrorIs(t, err, ErrFrozen)
	status, err := r.Status(ctx, "example.net")
	require.NoError(t, err)
	assert.True(t, status.Frozen, "left to whoever froze it")
	require.NoError(t, r.Thaw(ctx, "example.net"))
	assert.NoError(t, r.Thaw(ctx, "example.net"))
}

func TestAnEditWhileFrozenSurvives(t *testing.T) {
	s, r := primary(t, "allow-update { any; };")
	ctx := within(t, patience)
	path := s.Path("example.net")
	update(t, s, "one") // serial 6
	require.NoError(t, r.WhileFrozen(ctx, "example.net", path, func(ctx context.Context) error {
		status, err := r.Status(ctx, "example.net")
		assert.True(t, status.Frozen)
		assert.NoError(t, err)
		assert.FileExists(t, path+".jnl", "it stays, and says nothing about the zone being frozen")
		return raise(path, 6, 7, "two A 192.0.2.2\n")
	}))
	update(t, s, "three") // serial 8
	records, err := AXFR(ctx, "example.net", s.Addr, nil)
	require.NoError(t, err)
	var owners []string
	for _, record := range records {
		owners = append(owners, record.Owner)
	}
	assert.Subset(t, owners, []string{"one.example.net.", "two.example.net.", "three.example.net."})
	status, err := r.Status(ctx, "example.net")
	require.NoError(t, err)
	assert.Equal(t, uint32(8), status.Serial)
	assert.False(t, status.Frozen)
}

func TestAnEditWithoutAFreezeIsOverwritten(t *testing.T) {
	s, r := primary(t, "allow-update { any; };")
	ctx := within(t, patience)
	path := s.Path("example.net")
	require.NoError(t, raise(path, 5, 100, "lost A 192.0.2.2\n"))
	update(t, s, "one")
	_, err := r.command(ctx, "sync", "example.net")
	require.NoError(t, err)
	require.NoError(t, poll(ctx, func() (bool, error) {
		serial, err := fileSerial(path, "example.net")
		return serial == 6, err
	}, func(err error) error { return err }))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "lost")
}

func TestThawAlsoWhenTheEditFailed(t *testing.T) {
	s, r := primary(t, "allow-update { any; };")
	ctx := within(t, patience)
	mistake := errors.New("mistake")
	err := r.WhileFrozen(ctx, "example.net", s.Path("example.net"), func(context.Context) error { return mistake })
	require.ErrorIs(t, err, mistake)
	update(t, s, "one")
}

func TestThawAlsoWhenTheContextEnded(t *testing.T) {
	s, r := primary(t, "allow-update { any; };")
	ctx, cancel := context.WithCancel(within(t, patience))
	err := r.WhileFrozen(ctx, "example.net", s.Path("example.net"), func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)
	update(t, s, "one")
	err = r.WhileFrozen(ctx, "example.net", s.Path("example.net"), func(ctx context.Context) error {
		t.Error("there was no time left")
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	update(t, s, "two")
}

func TestFreezeThatGetsNoAnswer(t *testing.T) {
	mute := filepath.Join(t.TempDir(), "rndc")
	require.NoError(t, os.WriteFile(mute, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700))
	r := RNDC{Command: mute, Wait: time.Millisecond}
	err := r.WhileFrozen(within(t, patience), "example.net", "zone", func(context.Context) error {
		t.Error("nobody said that it is frozen")
		return nil
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Contains(t, err.Error(), "example.net. may be frozen now (rndc thaw): ")
}

// waits is a wait for what does not happen, in which all that rndc is asked before is
// answered on a busy machine too.
const waits = 10 * time.Second

func TestThawOfABrokenFile(t *testing.T) {
	t.Parallel() // with what else only waits
	s, r := primary(t, "allow-update { any; };")
	r.Wait = waits
	path := s.Path("example.net")
	mistake := errors.New("and a mistake")
	err := r.WhileFrozen(within(t, patience), "example.net", path, func(context.Context) error {
		return errors.Join(raise(path, 5, 6, "www A 192.0.2\n"), mistake)
	})
	require.ErrorIs(t, err, ErrNotLoaded)
	require.ErrorIs(t, err, mistake)
	write(t, path, small(6))
	require.NoError(t, r.Thaw(within(t, patience), "example.net"), "the zone stayed frozen until its file was mended")
	update(t, s, "one")
}

// named goes on writing after rndc freeze has returned, which only a large zone
// shows, and would replace an edit made meanwhile.
func TestTheEditWaitsForTheFile(t *testing.T) {
	s, r := primary(t, "allow-update { any; };")
	ctx := within(t, patience)
	path := s.Path("example.net")
	var hosts strings.Builder
	for i := range 100_000 {
		hosts.WriteString("h" + strconv.Itoa(i) + " A 192.0.2.1\n")
	}
	require.NoError(t, r.Freeze(ctx, "example.net"))
	write(t, path, small(6)+hosts.String())
	require.NoError(t, r.Thaw(ctx, "example.net"))
	update(t, s, "one") // serial 7
	require.NoError(t, r.WhileFrozen(ctx, "example.net", path, func(context.Context) error {
		text, err := os.ReadFile(path)
		assert.True(t, strings.Contains(string(text), "one\t"), "the file lacks the update")
		return errors.Join(err, raise(path, 7, 8, "$ORIGIN example.net.\ntwo A 192.0.2.2\n"))
	}))
	status, err := r.Status(ctx, "example.net")
	require.NoError(t, err)
	assert.Equal(t, uint32(8), status.Serial)
}

func TestTheEditWaitsForTheFileThatIsNotTheZones(t *testing.T) {
	t.Parallel() // with what else only waits
	s, r := primary(t, "allow-update { any; };")
	r.Wait = waits
	write(t, s.Path("other"), small(3))
	err := r.WhileFrozen(within(t, patience), "example.net", s.Path("other"), func(context.Context) error {
		t.Error("the file is not the zone's")
		return nil
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Contains(t, err.Error(), "is it the zone's file?")
	err = r.WhileFrozen(within(t, patience), "example.net", s.Path("missing"), func(context.Context) error { return nil })
	require.ErrorIs(t, err, os.ErrNotExist)
	update(t, s, "one")
}

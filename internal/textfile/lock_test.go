package textfile

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLockIsWaitedForAsLongAsTheContextAllows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = Lock(short, path)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, path+": another process has it")

	got := make(chan error)
	go func() {
		again, err := Lock(t.Context(), path)
		if err == nil {
			again()
		}
		got <- err
	}()
	select {
	case <-got:
		t.Fatal("two have the lock")
	case <-time.After(100 * time.Millisecond):
	}
	unlock()
	assert.NoError(t, <-got)

	_, err = Lock(t.Context(), filepath.Join(path, "below a file"))
	assert.Error(t, err)
}

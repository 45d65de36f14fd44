//go:build !linux

package blockcopy

import (
	"errors"
	"os"
)

// readAhead is only advice, and the systems read ahead without it.
func readAhead(f *os.File) {}

// openCold has no way here: O_DIRECT is a wish that may be ignored.
func openCold(s *storage) (*os.File, error) { return nil, nil }

// dropCache does nothing: what a flush could not write stays in the list of what is to
// be written.
func dropCache(f *os.File) error { return nil }

func punch(s *storage, off, n int64) error { return errors.ErrUnsupported }

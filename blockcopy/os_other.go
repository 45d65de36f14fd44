//go:build openbsd || darwin

package blockcopy

import (
	"errors"
	"fmt"
	"os"
)

const (
	diskKind   = 0 // of no file
	diskWanted = "a regular file is wanted on this system"
	locksDisks = false
)

func openDisk(s *storage, flag int) (*os.File, error) { return nil, errors.ErrUnsupported }

func diskGeometry(s *storage) (geometry, error) { return geometry{}, errors.ErrUnsupported }

func spans(s *storage) ([]span, error) { return []span{fileSpan(s)}, nil }

func usedBy(s *storage) (string, error) { return "", nil }

func seekData(f *os.File, off, size int64) (start, end int64, err error) { return off, size, nil }

func syncData(s *storage) error { return s.file.Sync() }

func identity(s *storage) string { return fileIdentity(fmt.Sprint(s.stat.Dev), s, 0) }

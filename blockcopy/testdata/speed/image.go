package main

import (
	"errors"
	"math/rand/v2"
	"os"
)

// The image is the same each time.
func seeded(seed byte) (*rand.ChaCha8, *rand.Rand) {
	source := rand.NewChaCha8([32]byte{seed})
	return source, rand.New(source)
}

// makeImage writes a disk in use: runs of 256 KiB to 4 MiB, of which four in ten are
// zeros (and holes), three random, and three text.
func makeImage(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	bytes, random := seeded(1)
	words := []string{"address ", "kernel ", "netbsd ", "mail ", "zone ", "ifconfig ", "the ", "of ", "and\n", "root:*:0:0:"}
	kinds := []string{"zero", "zero", "zero", "zero", "random", "random", "random", "text", "text", "text"}
	var left []string
	buf := make([]byte, 0, 4<<20)
	for off := int64(0); off < size; off += int64(len(buf)) {
		if len(left) == 0 {
			left = append(left, kinds...)
			random.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		}
		kind := left[0]
		left = left[1:]
		buf = buf[:min(size-off, 256<<10*(1+random.Int64N(16)))]
		switch kind {
		case "zero":
			continue
		case "random":
			bytes.Read(buf)
		case "text":
			for n := 0; n < len(buf); {
				n += copy(buf[n:], words[random.IntN(len(words))])
			}
		}
		if _, err := f.WriteAt(buf, off); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// change writes pages of 4 KiB, one to eight at a place, until a hundredth of the
// file is new.
func change(path string, seed byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	const page = 4 << 10
	bytes, random := seeded(seed)
	pages := info.Size() / page
	for left := max(1, pages/100); left > 0; {
		n := min(left, 1+random.Int64N(8), pages)
		buf := make([]byte, n*page)
		bytes.Read(buf)
		if _, err := f.WriteAt(buf, random.Int64N(pages-n+1)*page); err != nil {
			return errors.Join(err, f.Close())
		}
		left -= n
	}
	return errors.Join(f.Sync(), f.Close())
}

package blockcopy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"

	"lukechampine.com/blake3"
)

// A DD is a Source that is read by plain dd, mostly on a host that has nothing of
// this package. It is a RangeReader, an Identifier and a Checker, and cannot be
// written. As nothing there computes digests, a delta must read all of it over the
// link.
//
// Each request is a program of its own. With ssh that is one login each, which a
// ControlMaster in the user's ssh_config(5) saves.
type DD struct {
	ctx  context.Context // for ReadAt, which is given none
	argv []string
	path string
	size int64
	stat fileStat // of a device the zero value
}

// A fileStat is the stat(1) that knows a regular file.
type fileStat struct {
	words []string
	base  int // of the mode's digits
}

// NewDD returns the Source that is the device or file path behind a command, which
// runs the words that are appended to it:
//
//	NewDD(ctx, "/dev/vms/senate", "ssh", "-o", "ServerAliveInterval=10", "starkiller", "sudo", "-n")
//
// Without argv it is a file of this host. ssh notices a dead link only if it is
// told to, as here; sudo must not ask, for which -n stands.
//
// The far shell reads the words again, so the path may hold nothing that any shell
// has a meaning for: letters, digits and _./@%+=:,- only, and it begins with a
// letter, a digit, an underscore, a dot or a slash. Anything else is a *ValueError.
//
// ctx is for asking for the size, and for ReadAt, for as long as the DD is used. The
// size comes from blockdev(8), stat(1) of Linux or the BSDs, or diskinfo(8) of
// FreeBSD. If none of them has an answer, the error holds the *CommandError of each.
func NewDD(ctx context.Context, path string, argv ...string) (*DD, error) {
	if !harmless(path) {
		return nil, &ValueError{Field: "path", Value: path, Reason: "the far shell may have a meaning for it: make a symbolic link to it whose path has only letters, digits and _./@%+=:,- and begins with a letter, a digit, _, . or /"}
	}
	d := &DD{ctx: ctx, argv: argv, path: path}
	var err error
	if d.size, d.stat, err = d.findSize(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

func harmless(path string) bool {
	const inner = "@%+=:,-" // some shells expand a word that begins with one of them
	for i := range len(path) {
		c := path[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '/':
		case i > 0 && strings.IndexByte(inner, c) >= 0:
		default:
			return false
		}
	}
	return path != ""
}

// Size returns the size in bytes when NewDD was called.
func (d *DD) Size() int64 { return d.size }

// Identity returns the command, the path and the size.
func (d *DD) Identity() string {
	return strings.Join(append(append([]string{"dd"}, d.argv...), d.path, strconv.FormatInt(d.size, 10)), " ")
}

// Version returns what stat(1) says of a regular file: its size, time of change and
// time of status change; and "" for a device. The error is ErrChanged if the file no
// longer has the size that it had.
func (d *DD) Version() (string, error) {
	if d.stat.words == nil {
		return "", nil
	}
	text, err := d.output(d.ctx, d.stat.words...)
	if err != nil {
		return "", err
	}
	if size, ok := regular(text, d.stat.base); !ok || size != d.size {
		return "", fmt.Errorf("%q: %w: it had %d bytes, stat says %q", d.path, ErrChanged, d.size, text)
	}
	return text, nil
}

// ReadAt runs one dd: ReadRange is for those who need much.
func (d *DD) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &ValueError{Field: "offset", Value: strconv.FormatInt(off, 10), Reason: "it is negative"}
	}
	n := max(0, min(int64(len(p)), d.size-off))
	r, err := d.ReadRange(d.ctx, off, n)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	got, err := io.ReadFull(r, p[:n])
	if err == nil && n < int64(len(p)) {
		err = io.EOF
	}
	return got, err
}

// ReadRange starts a dd that reads n bytes from off. What it reads in excess, if
// they are no multiples of 256 KiB, is thrown away: raw devices of the BSDs are read
// in whole sectors only.
//
// The last byte is given only when dd, and ssh if there is one, have ended well, and
// have given as many bytes as there are. If they have not, or bytes are missing, the
// error is an *IOError with the offset of the first byte that is missing, and holds
// the *CommandError; if there were too many, ErrChanged.
func (d *DD) ReadRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if n <= 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	first, last := off/blockSize, (off+n-1)/blockSize
	cmd, err := d.start(ctx, "dd", "if="+d.path, fmt.Sprintf("bs=%d", blockSize),
		fmt.Sprintf("skip=%d", first), fmt.Sprintf("count=%d", last-first+1))
	if err != nil {
		return nil, &IOError{Op: "read", Offset: off, Length: n, Err: err}
	}
	end := min((last+1)*blockSize, max(d.size, off+n))
	return &ddRange{cmd: cmd, skip: off - first*blockSize, off: off, left: n, excess: end - off - n}, nil
}

func (d *DD) start(ctx context.Context, words ...string) (*command, error) {
	return start(ctx, append(append([]string(nil), d.argv...), words...), false)
}

// A ddRange is what one dd reads.
type ddRange struct {
	cmd  *command
	skip int64 // bytes still before the range
	off  int64 // of the next byte
	left int64 // bytes still to give
	err  error

	excess int64 // bytes behind the range
}

func (r *ddRange) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	n, err := 0, error(nil)
	if r.skip > 0 {
		var skipped int64
		skipped, err = io.CopyN(io.Discard, r.cmd, r.skip)
		r.skip -= skipped
	}
	if err == nil {
		n, err = r.cmd.Read(p[:min(int64(len(p)), r.left)])
	}
	if err == nil && int64(n) == r.left {
		var excess int64
		excess, err = io.Copy(io.Discard, r.cmd)
		if err == nil && excess != r.excess {
			err = fmt.Errorf("%w, or the far shell prints what is not of it: %d bytes too many", ErrChanged, excess-r.excess)
		}
		if err == nil {
			r.off, r.left, r.err = r.off+r.left, 0, io.EOF
			return n, nil
		}
		n-- // a reader that has all bytes, such as io.ReadFull, ignores the error
	}
	r.off += int64(n)
	r.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		r.err = &IOError{Op: "read", Offset: r.off, Length: r.left, Err: err}
	}
	return n, r.err
}

// Close ends dd if it still runs. Read has told how it went.
func (r *ddRange) Close() error {
	r.cmd.cancel(context.Canceled)
	<-r.cmd.ended
	r.cmd.stdout.Close() // which the end of the context has done already
	return nil
}

// output runs a program behind the command, and returns the little that it prints.
func (d *DD) output(ctx context.Context, words ...string) (string, error) {
	cmd, err := d.start(ctx, words...)
	if err != nil {
		return "", err
	}
	defer cmd.stdout.Close()
	text, err := io.ReadAll(io.LimitReader(cmd, 64<<10))
	if err == nil {
		cmd.cancel(context.Canceled) // which only matters to one that prints without end
		<-cmd.ended
	}
	return strings.TrimSpace(string(text)), err
}

// findSize asks every program that may know the size. The formats of stat stand in
// the same word as their option, because a word that begins with % is special to
// some shells. Each has the file's type too: the size of a device is 0 there.
func (d *DD) findSize(ctx context.Context) (size int64, stat fileStat, err error) {
	var tried []error
	for _, ask := range []struct {
		words []string
		base  int // 0: it is no stat
		size  func(text string) (int64, bool)
	}{
		{words: []string{"blockdev", "--getsize64", d.path}, size: decimal},
		{words: []string{"stat", "-L", "-c%f:%s:%y:%z", d.path}, base: 16},
		{words: []string{"stat", "-L", "-f%p:%z:%Fm:%Fc", d.path}, base: 8},
		{words: []string{"diskinfo", d.path}, size: func(text string) (int64, bool) {
			if fields := strings.Fields(text); len(fields) > 2 { // name, sector size, size in bytes
				return decimal(fields[2])
			}
			return 0, false
		}},
	} {
		text, err := d.output(ctx, ask.words...)
		if err == nil {
			if ask.base != 0 {
				if size, ok := regular(text, ask.base); ok {
					return size, fileStat{ask.words, ask.base}, nil
				}
			} else if size, ok := ask.size(text); ok {
				return size, fileStat{}, nil
			}
			err = &CommandError{Args: append(append([]string(nil), d.argv...), ask.words...), Err: fmt.Errorf("%q is not a size", text)}
		}
		tried = append(tried, err)
		if ctx.Err() != nil || d.unreachable(err) {
			break // the others would fail in the same way
		}
	}
	return 0, fileStat{}, fmt.Errorf("size of %q: %w", d.path, errors.Join(tried...))
}

// unreachable says whether the command itself failed, and not what it was to run:
// ssh(1) exits with 255 then.
func (d *DD) unreachable(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return len(d.argv) > 0 && (ok && exit.ExitCode() == 255 || errors.Is(err, exec.ErrNotFound))
}

func decimal(text string) (int64, bool) {
	size, err := strconv.ParseInt(text, 10, 64)
	return size, err == nil && size >= 0
}

// regular returns the size from "mode:size:times" of a regular file. The mode has
// the given base, the bits of its type are those of POSIX systems everywhere.
func regular(text string, base int) (int64, bool) {
	const typeMask, typeRegular = 0o170000, 0o100000
	before, after, _ := strings.Cut(text, ":")
	mode, err := strconv.ParseUint(before, base, 32)
	number, _, _ := strings.Cut(after, ":")
	size, ok := decimal(number)
	return size, ok && err == nil && mode&typeMask == typeRegular
}

// Sum returns the digest that b3sum prints on the far side, which reads all of the
// source there. The error is errors.ErrUnsupported if it has no b3sum.
func (d *DD) Sum(ctx context.Context) (Digest, error) {
	empty := Digest(blake3.Sum256(nil))
	text, err := d.hash(ctx, empty.String(), []string{"b3sum"})
	if err != nil {
		return Digest{}, err
	}
	return ParseDigest(text)
}

// SHA256 returns the SHA-256 that sha256sum, or sha256 of the BSDs, prints on the far
// side, which reads all of the source there. The error is errors.ErrUnsupported if
// it has neither.
func (d *DD) SHA256(ctx context.Context) ([]byte, error) {
	empty := sha256.Sum256(nil)
	text, err := d.hash(ctx, hex.EncodeToString(empty[:]), []string{"sha256sum"}, []string{"sha256", "-q"})
	if err != nil {
		return nil, err
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != sha256.Size {
		return nil, &ValueError{Field: "SHA-256", Value: text, Reason: "it has 64 hexadecimal digits"}
	}
	return sum, nil
}

// hash returns the first word that the first of the programs prints that is there.
// Each is tried on nothing before, as the ways in which a shell, sudo or doas say
// that there is no such program are many.
func (d *DD) hash(ctx context.Context, empty string, programs ...[]string) (string, error) {
	tried := []error{errors.ErrUnsupported}
	for _, words := range programs {
		text, err := d.output(ctx, append(words, "/dev/null")...)
		if err == nil && firstWord(text) == empty {
			text, err = d.output(ctx, append(words, d.path)...)
			return firstWord(text), err
		}
		if ctx.Err() != nil || d.unreachable(err) {
			return "", err
		}
		tried = append(tried, err)
	}
	return "", fmt.Errorf("digest of %q: %w", d.path, errors.Join(tried...))
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}

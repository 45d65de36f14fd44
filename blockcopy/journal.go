package blockcopy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A journal is the file that says what is on the target for good. PROTOCOL.md has its
// format: two headers, of which the valid one with the higher Sequence counts, so that
// a write that is cut short leaves the other one; then one slot for each block, at its
// place, so that no pass makes it longer.
type journal struct {
	path string
	f    journalFile
	head header

	resumed bool   // this run goes on with the pass of the one before
	torn    bool   // the run before did not end its pass: the page cache may have what the disk has not
	trusted uint32 // the pass that ended last, whose slots tell what it left on the target; 0: none
	intact  bool   // nobody has written the target since
}

// A journalFile is a lockedFile, or a test's that loses power.
type journalFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
}

// header is what a journal says of the copy as a whole, as JSON.
type header struct {
	Sequence uint64    `json:"sequence"` // raised at each write
	Size     int64     `json:"size"`     // of the image, bytes
	Block    int       `json:"block"`    // bytes per slot
	Source   string    `json:"source"`   // identities
	Target   string    `json:"target"`
	Version  string    `json:"version"` // of the source, when the pass began
	Number   uint32    `json:"number"`  // of the pass; the first one is 1
	Pass     Pass      `json:"pass"`
	State    State     `json:"state"`
	Changed  bool      `json:"changed"` // the source changed during the pass: what is done counts no more
	Digest   Digest    `json:"digest"`  // of the pass that ended last
	Left     string    `json:"left"`    // version of the target when that pass ended; "" if it cannot be known
	Written  time.Time `json:"written"`
}

const (
	journalMagic = "rehost blockcopy journal 1\n"
	headerSize   = 4096
	slotsAt      = 2 * headerSize
	slotSize     = 40 // value 32, pass number 4, CRC-32C 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal opens the journal for a pass that want describes, or makes it. A journal
// of another copy is refused.
func openJournal(path string, want header) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return createJournal(path, want)
	}
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, f: lockedFile{f}}
	if err := errors.Join(lockJournal(f), j.begin(want)); err != nil {
		j.f.Close()
		return nil, err
	}
	return j, nil
}

// createJournal makes the journal under another name first: whoever finds a journal
// finds one with a header.
func createJournal(path string, want header) (*journal, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, f: lockedFile{f}, head: want}
	j.head.Number = 1
	err = errors.Join(lockJournal(f), f.Truncate(slotsAt+slotSize*blocksOf(want.Size)), j.writeHeader())
	if err == nil {
		err = os.Link(f.Name(), path) // which fails if another one was faster
	}
	err = errors.Join(err, os.Remove(f.Name()))
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		j.f.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return j, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// begin reads the headers, refuses what does not fit, and decides whether the pass
// goes on or a new one begins.
func (j *journal) begin(want header) error {
	head, err := readHeader(j.f)
	if err != nil {
		return j.refuse("%v", err)
	}
	switch {
	case head.Block != want.Block:
		return j.refuse("it has blocks of %d bytes", head.Block)
	case head.Size != want.Size:
		return j.refuse("it is of an image of %d bytes, the source has %d", head.Size, want.Size)
	case head.Source != want.Source:
		return j.refuse("it is of the source %q, this one is %q", head.Source, want.Source)
	case head.Target != want.Target:
		return j.refuse("it is of the target %q, this one is %q", head.Target, want.Target)
	}
	j.head = head
	j.torn = head.State == Incomplete
	if head.State == Incomplete && head.Pass == want.Pass && !head.Changed &&
		(head.Version == want.Version || want.Pass == Live) {
		j.resumed = true
		return j.writeHeaders() // the run before may have failed to flush them
	}
	if head.State != Incomplete {
		j.trusted = head.Number
		j.intact = head.Left != "" && head.Left == want.Left
	}
	j.head.Number++
	j.head.Pass, j.head.Version, j.head.State, j.head.Changed, j.head.Left = want.Pass, want.Version, Incomplete, false, ""
	return j.writeHeaders()
}

func (j *journal) refuse(format string, args ...any) error {
	return &JournalError{Path: j.path, Reason: fmt.Sprintf(format, args...)}
}

// lockJournal keeps a second copy away from a journal until it is closed.
func lockJournal(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return &JournalError{Path: f.Name(), Reason: "another copy uses it"}
	}
	return err
}

// A lockedFile gives up its lock when it is closed. Closing alone does not: a program that
// is being started at this moment has the file, too, until it runs.
type lockedFile struct{ *os.File }

func (f lockedFile) Close() error {
	syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	return f.File.Close()
}

// readHeader returns the newer one of the valid headers.
func readHeader(f io.ReaderAt) (header, error) {
	var newest header
	found := false
	for i := range int64(2) {
		p := make([]byte, headerSize)
		if _, err := f.ReadAt(p, i*headerSize); err != nil && !errors.Is(err, io.EOF) {
			return header{}, err
		}
		head, err := decodeHeader(p)
		if err == nil && (!found || head.Sequence > newest.Sequence) {
			newest, found = head, true
		}
	}
	if !found {
		return header{}, errors.New("it is no journal of this program, or its headers are damaged")
	}
	return newest, nil
}

// decodeHeader reads the magic line, the line of JSON and the CRC of both.
func decodeHeader(p []byte) (header, error) {
	errBad := errors.New("not a header")
	var head header
	rest, ok := bytes.CutPrefix(p, []byte(journalMagic))
	end := bytes.IndexByte(rest, '\n')
	if !ok || end < 0 || len(rest) < end+10 {
		return head, errBad
	}
	text := p[:len(journalMagic)+end+1]
	if string(rest[end+1:end+10]) != fmt.Sprintf("%08x\n", crc32.Checksum(text, castagnoli)) {
		return head, errBad
	}
	if err := json.Unmarshal(rest[:end], &head); err != nil {
		return head, err
	}
	if head.Size < 0 || head.Number == 0 {
		return head, errBad
	}
	return head, nil
}

// writeHeader writes the header in the place of the older one, and flushes it.
func (j *journal) writeHeader() error {
	j.head.Sequence++
	j.head.Written = time.Now().UTC().Truncate(time.Second)
	text, err := json.Marshal(j.head)
	if err != nil {
		return err
	}
	p := append([]byte(journalMagic), text...)
	p = append(p, '\n')
	p = fmt.Appendf(p, "%08x\n", crc32.Checksum(p, castagnoli))
	if len(p) > headerSize {
		return j.refuse("the names of source and target are too long for it")
	}
	p = append(p, make([]byte, headerSize-len(p))...)
	if _, err := j.f.WriteAt(p, int64(j.head.Sequence%2)*headerSize); err != nil {
		return err
	}
	return j.f.Sync()
}

// writeHeaders writes both headers, so that damage to the newer one does not bring back
// what was true before.
func (j *journal) writeHeaders() error {
	if err := j.writeHeader(); err != nil {
		return err
	}
	return j.writeHeader()
}

// end notes that the pass has ended.
func (j *journal) end(state State, d Digest, left string) error {
	j.head.State, j.head.Digest, j.head.Left = state, d, left
	return j.writeHeader()
}

// changed notes that the source changed, so that the next run begins anew.
func (j *journal) changed() error {
	j.head.Changed = true
	return j.writeHeaders()
}

// left returns the value that the last pass that ended left on the target for a block;
// false if it left none.
func (j *journal) left(block int64) (Digest, bool, error) {
	if j == nil || j.trusted == 0 {
		return Digest{}, false, nil
	}
	d, number, err := j.slot(block)
	return d, number == j.trusted, err
}

// slot returns what the journal says of a block: the value that the target had at the
// end of the pass of that number. 0 is no pass: a slot that is empty or damaged.
func (j *journal) slot(block int64) (Digest, uint32, error) {
	var p [slotSize]byte
	if n, err := j.f.ReadAt(p[:], slotsAt+block*slotSize); n < len(p) && err != io.EOF {
		return Digest{}, 0, err
	}
	d, number := decodeSlot(p[:], block)
	return d, number, nil
}

func decodeSlot(p []byte, block int64) (Digest, uint32) {
	number := binary.LittleEndian.Uint32(p[32:])
	if binary.LittleEndian.Uint32(p[36:]) != slotSum(p, block) {
		return Digest{}, 0
	}
	return Digest(p[:32]), number
}

func appendSlot(p []byte, block int64, d Digest, number uint32) []byte {
	p = append(p, d[:]...)
	p = binary.LittleEndian.AppendUint32(p, number)
	return binary.LittleEndian.AppendUint32(p, slotSum(p[len(p)-36:], block))
}

// slotSum is the CRC of a slot and its place, so that no slot counts for another block.
func slotSum(p []byte, block int64) uint32 {
	place := binary.LittleEndian.AppendUint64(nil, uint64(block))
	return crc32.Update(crc32.Checksum(place, castagnoli), castagnoli, p[:36])
}

// record notes blocks as done in this pass, and flushes. They are sorted.
func (j *journal) record(all []finished) error {
	var p []byte
	for i, f := range all {
		p = appendSlot(p, f.block, f.value, j.head.Number)
		if i+1 < len(all) && all[i+1].block == f.block+1 {
			continue
		}
		first := f.block + 1 - int64(len(p)/slotSize)
		if _, err := j.f.WriteAt(p, slotsAt+first*slotSize); err != nil {
			return fmt.Errorf("journal %s: %w", j.path, err)
		}
		p = p[:0]
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	return nil
}

// done counts the bytes that this pass has done.
func (h header) done(f io.ReaderAt) (int64, error) {
	var sum int64
	r := io.NewSectionReader(f, slotsAt, slotSize*blocksOf(h.Size))
	p := make([]byte, 4096*slotSize)
	for block := int64(0); block < blocksOf(h.Size); {
		n, err := io.ReadFull(r, p)
		for q := p[:n]; len(q) >= slotSize; q = q[slotSize:] {
			if _, number := decodeSlot(q, block); number == h.Number {
				sum += min(blockSize, h.Size-block*blockSize)
			}
			block++
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// blocksOf returns the number of blocks of an image: one for an empty image too, which
// has a digest.
func blocksOf(size int64) int64 { return max(1, (size+blockSize-1)/blockSize) }

// ReadState reads how far the copy has come that keeps the journal: State, Digest (of
// the last pass that ended), Size and Durable of the Result. The error is os.ErrNotExist
// if there is no such file, and a *JournalError if it is no journal. It may be called
// while the copy runs.
func ReadState(journal string) (Result, error) {
	f, err := os.Open(journal)
	if err != nil {
		return Result{}, err
	}
	defer f.Close()
	head, err := readHeader(f)
	if err != nil {
		return Result{}, &JournalError{Path: journal, Reason: err.Error()}
	}
	done, err := head.done(f)
	if err != nil {
		return Result{}, err
	}
	r := Result{State: head.State, Progress: Progress{Size: head.Size, Durable: done, Remaining: -1}}
	if head.State != Incomplete {
		r.Digest, r.Remaining = head.Digest, 0
	}
	return r, nil
}

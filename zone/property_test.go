package zone

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rehost/rehost/internal/lab"
)

var (
	cases    = flag.Int("zone.cases", 300, "random zones that each property test tries")
	seedFlag = flag.Uint64("zone.seed", 1, "the first of their seeds; a failure prints its own")
)

// A kindError is a property that does not hold. The kind stays the same while a
// failing zone is made smaller.
type kindError struct{ kind, detail string }

func (e *kindError) Error() string { return e.kind + ":\n" + e.detail }

func failure(kind, format string, args ...any) error {
	return &kindError{kind, fmt.Sprintf(format, args...)}
}

// notePanic makes a panic a failure like others, so that its zone is shown.
func notePanic(err *error) {
	if p := recover(); p != nil {
		*err = failure("panic", "%v\n%s", p, debug.Stack())
	}
}

// forEachSeed tries a property on many zones, on all processors: on fewer where a busy
// machine would need more than half of the time that go test leaves it. try gets a
// folder of its own and the random zone, and names what it saw, for the tally;
// check tries it again on a smaller zone.
func forEachSeed(t *testing.T, try func(dir string, seed uint64) (saw string, check func(*randomZone) error, z *randomZone, err error)) {
	lab.Need(t, "named-compilezone")
	var next atomic.Uint64
	next.Store(*seedFlag)
	end := *seedFlag + uint64(*cases)
	var mu sync.Mutex
	tally := map[string]int{}
	failed := false
	var workers sync.WaitGroup
	start := time.Now()
	late := func() bool { return false }
	if over, ok := t.Deadline(); ok {
		half := time.Until(over) / 2
		late = func() bool { return time.Until(over) < half }
	}
	for range runtime.GOMAXPROCS(0) {
		base := t.TempDir()
		workers.Go(func() {
			for {
				if late() {
					return
				}
				seed := next.Add(1) - 1
				if seed >= end {
					return
				}
				dir := filepath.Join(base, fmt.Sprint(seed))
				saw, check, z, err := try(dir, seed)
				mu.Lock()
				if failed {
					mu.Unlock()
					return
				}
				for word := range strings.FieldsSeq(saw) {
					tally[word]++
				}
				if err != nil {
					failed = true
					small := shrink(z, err, check)
					t.Errorf("-zone.cases=1 -zone.seed=%d\n%v\n\n%v\nsmaller: %v", seed, err, small, check(small))
				}
				mu.Unlock()
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d zones in %v: %v", min(next.Load(), end)-*seedFlag, time.Since(start).Round(time.Millisecond), tally)
}

// shrink drops lines, and then words, for as long as the property still fails in the same way.
func shrink(z *randomZone, err error, check func(*randomZone) error) *randomZone {
	want, ok := errors.AsType[*kindError](err)
	if !ok {
		return z
	}
	deadline := time.Now().Add(30 * time.Second) // a busy machine gets a larger zone, no other verdict
	try := func(path, text string) bool {
		smaller := *z
		smaller.Files = maps.Clone(z.Files)
		smaller.Files[path] = text
		got, ok := errors.AsType[*kindError](check(&smaller))
		if ok = ok && got.kind == want.kind && len(text) < len(z.Files[path]); ok {
			z = &smaller
		}
		return ok
	}
	split := regexp.MustCompile(`(?s)[^\n]*\n|[^\n]+$`)
	for again := true; again; {
		again = false
		for path := range z.Files {
			for size := 16; size > 0; size /= 2 {
				for at := 0; time.Now().Before(deadline); {
					pieces := split.FindAllString(z.Files[path], -1)
					if at >= len(pieces) {
						break
					}
					if try(path, strings.Join(slices.Delete(pieces, at, min(at+size, len(pieces))), "")) {
						again = true
					} else {
						at += size
					}
				}
			}
		}
		if !again && split != wordsOrBlanks { // no line can go any more
			split, again = wordsOrBlanks, true
		}
	}
	return z
}

var wordsOrBlanks = regexp.MustCompile(`\s|[^\s]+`)

// openZone opens the files that compileFiles wrote to dir.
func openZone(dir, origin string) (*File, error) {
	return Open(filepath.Join(dir, mainFile), origin, &Options{Dir: dir})
}

// filesOf are the texts of a File, by their path below dir.
func filesOf(f *File, dir string) map[string]string {
	files := map[string]string{}
	for path, text := range f.Files() {
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsAbs(path) {
			path = rel
		}
		files[filepath.Clean(path)] = string(text)
	}
	return files
}

// checkReads is the property of the reader: it reads what named reads, and
// refuses what named refuses.
func checkReads(dir string, z *randomZone) (saw string, err error) {
	defer notePanic(&err)
	want, log, err := compileFiles(dir, z.Origin, z.Files)
	if errors.Is(err, errHangs) {
		return "endless", nil
	}
	if err != nil && !errors.Is(err, errRefused) {
		return "", err
	}
	f, parseErr := openZone(dir, z.Origin)
	if err != nil {
		if parseErr == nil && f.Check().Err() == nil {
			return "", failure("named refuses, Open and Check do not: "+reason(log), "%s", log)
		}
		return "refused", nil
	}
	if parseErr != nil {
		if strings.Contains(parseErr.Error(), "is not FIRST-LAST") {
			return "refused-by-us", nil // named reads the range with scanf, which passes over what overflows or follows
		}
		return "", failure("Open refuses, named does not", "%v", parseErr)
	}
	for path, text := range filesOf(f, dir) {
		if text != z.Files[path] {
			return "", failure("the bytes are not those that were read", "%s: %q", path, text)
		}
	}
	if diff := want.diff(canonAll(f, z.Origin)); diff != "" {
		return "", failure("All is not what named compiles", "%s", diff)
	}
	if err := f.Check().Err(); err != nil && !strings.Contains(log, "ignoring out-of-zone") {
		return "", failure("Check finds an error, named does not", "%v", err)
	}
	return "accepted", nil
}

// reason is why named refuses, without the place.
func reason(log string) string {
	if at := strings.LastIndex(log, " failed: "); at >= 0 {
		log = log[at+len(" failed: "):]
	} else if _, why, ok := strings.Cut(log, "/IN: "); ok { // loaded, and found wanting
		log = why
	}
	why, _, _ := strings.Cut(log, "\n")
	return why
}

func TestAllIsWhatNamedCompiles(t *testing.T) {
	t.Parallel()
	forEachSeed(t, func(dir string, seed uint64) (string, func(*randomZone) error, *randomZone, error) {
		z := newRandomZone(seed)
		check := func(z *randomZone) error {
			_, err := checkReads(dir, z)
			return err
		}
		saw, err := checkReads(dir, z)
		return saw, check, z, err
	})
}

// TestDamagedZonesAreReadAsNamedReadsThem breaks a zone in a few places. Most of
// the results are refused, at which a reader proves how strict it is.
func TestDamagedZonesAreReadAsNamedReadsThem(t *testing.T) {
	t.Parallel()
	forEachSeed(t, func(dir string, seed uint64) (string, func(*randomZone) error, *randomZone, error) {
		z := newRandomZone(seed)
		r := rand.New(rand.NewPCG(seed, 1))
		for range 1 + r.IntN(2) {
			path := randomKey(r, z.Files)
			z.Files[path] = damage(r, z.Files[path])
		}
		check := func(z *randomZone) error {
			_, err := checkReads(dir, z)
			return err
		}
		saw, err := checkReads(dir, z)
		return saw, check, z, err
	})
}

var damages = []string{"", "(", ")", `"`, ";", `\`, "@", ".", "..", " ", "\n", "\r", "$", "1", "1h", "IN", "CH", "A", "-", "x\n", "\n ", `\#`, "65536", "4294967296", `\256`}

// damage puts something in the place of a few bytes.
func damage(r *rand.Rand, text string) string {
	at := r.IntN(len(text) + 1)
	return text[:at] + pick(r, damages...) + text[min(at+r.IntN(3), len(text)):]
}

func TestRandomEditsChangeOnlyWhatTheyName(t *testing.T) {
	t.Parallel()
	forEachSeed(t, func(dir string, seed uint64) (string, func(*randomZone) error, *randomZone, error) {
		z := newRandomZone(seed)
		before, _, err := compileFiles(dir, z.Origin, z.Files)
		if err != nil {
			return "unloadable", nil, z, nil
		}
		edits := randomEdits(rand.New(rand.NewPCG(seed, 2)), before, z)
		check := func(z *randomZone) error {
			_, err := checkEdits(dir, z, edits)
			return err
		}
		saw, err := checkEdits(dir, z, edits)
		return saw, check, z, err
	})
}

// checkEdits makes the edits one after the other and compiles after each.
func checkEdits(dir string, z *randomZone, edits []editCall) (saw string, err error) {
	defer notePanic(&err)
	before, _, err := compileFiles(dir, z.Origin, z.Files)
	if err != nil {
		return "", err
	}
	f, err := openZone(dir, z.Origin)
	if err != nil {
		return "", failure("Open refuses, named does not", "%v", err)
	}
	if err := setWhatIsThere(f, dir, z); err != nil {
		return "", err
	}
	scratch := filepath.Join(dir, "edited")
	if err := os.RemoveAll(scratch); err != nil {
		return "", err
	}
	now := *z
	now.DefaultTTLs = append(slices.Clip(z.DefaultTTLs), uint32(f.MaxTTL()/time.Second)) // to which each has been lowered
	for i, e := range edits {
		if e.op == "SetTTL" || e.op == "LowerTTLs" {
			now.DefaultTTLs = append(slices.Clip(now.DefaultTTLs), uint32(e.ttl/time.Second))
		}
		step, after, err := checkEdit(scratch, f, before, e, &now, dir)
		if kind, ok := errors.AsType[*kindError](err); ok {
			return "", failure(kind.kind, "%safter %v\nin edit %d of %v", kind.detail, filesOf(f, dir), i+1, edits)
		}
		if err != nil {
			return "", err
		}
		saw += " " + step
		if after == nil { // it is now a zone that named does not load
			break
		}
		before = after
	}
	return saw, nil
}

// checkEdit makes one edit and returns the zone that named compiles then.
func checkEdit(scratch string, f *File, before canonSet, e editCall, z *randomZone, dir string) (string, canonSet, error) {
	old := filesOf(f, dir)
	oldRecords := recordLines(f, dir, e, before)
	want, err := e.want(before, z)
	if err != nil {
		return "", nil, err
	}
	if e.op == "SetTTL" {
		byHand, _ := sedTTL(old, mainFile, e.ttl)
		if want, _, err = compileFiles(scratch, z.Origin, byHand); err != nil {
			return "", nil, err
		}
	}
	editErr := e.apply(f)
	files := filesOf(f, dir)
	if editErr != nil {
		if fmt.Sprint(old) != fmt.Sprint(files) {
			return "", nil, failure("a refused edit changes bytes", "%v", editErr)
		}
		if isGenerated(e.set.Owner) || z.Shared[e.set.Owner] || e.op == "LowerTTLs" && len(z.Shared) > 0 {
			return e.op + "-refused-by-place", before, nil
		}
		if _, log, err := compileFiles(filepath.Join(scratch, "flat"), z.Origin, map[string]string{mainFile: want.flat()}); err == nil {
			return "", nil, failure("an edit is refused whose result named loads", "%v\n%s", editErr, log)
		}
		return e.op + "-refused", before, nil
	}
	after, log, err := compileFiles(scratch, z.Origin, files)
	if errors.Is(err, errRefused) {
		if _, _, err := compileFiles(filepath.Join(scratch, "flat"), z.Origin, map[string]string{mainFile: want.flat()}); err == nil {
			return "", nil, failure("named refuses the edited zone", "%s", log)
		}
		if f.Check().Err() == nil {
			return "", nil, failure("named refuses the edited zone, Check does not", "%s", log)
		}
		return e.op + "-unloadable", nil, nil
	} else if err != nil {
		return "", nil, err
	}
	if diff := want.fillTTLs(after, z).diff(after); diff != "" {
		return "", nil, failure("the edit changes something else", "- is missing, + is too much:\n%s", diff)
	}
	if diff := after.diff(canonAll(f, z.Origin)); diff != "" {
		return "", nil, failure("after an edit All is not what named compiles", "%s", diff)
	}
	return e.op, after, checkLines(old, files, e, oldRecords)
}

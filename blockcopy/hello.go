package blockcopy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// protocolVersion is raised whenever the two ends of different versions could
// misunderstand each other: both must have the same.
const protocolVersion = 1

// greetingWord begins the line with which each end begins. It tells a person who
// started the wrong program what the bytes are, and tells this program from a shell's
// message of the day.
const greetingWord = "rehost blockcopy "

// greetingSize is more than any greeting has.
const greetingSize = 64

func appendGreeting(p []byte) []byte {
	return fmt.Appendf(p, "%s%d\n", greetingWord, protocolVersion)
}

// readGreeting takes the other end's first line.
func readGreeting(r *bufio.Reader) error {
	var line []byte
	for len(line) < greetingSize {
		c, err := r.ReadByte()
		if err != nil {
			return err
		}
		if c == '\n' {
			break
		}
		line = append(line, c)
		if n := min(len(line), len(greetingWord)); string(line[:n]) != greetingWord[:n] {
			more, _ := r.Peek(min(r.Buffered(), 200))
			first, _, _ := bytes.Cut(append(line, more...), []byte("\n"))
			return broken("the other end is not this program: it says %q", bytes.TrimRight(first, "\r"))
		}
	}
	number, ok := bytes.CutPrefix(line, []byte(greetingWord))
	version, err := strconv.ParseUint(string(number), 10, 32)
	switch {
	case !ok || err != nil:
		return broken("the other end greets with %q", line)
	case version != protocolVersion:
		return broken("the other end speaks version %d of the protocol, this one speaks %d", version, protocolVersion)
	}
	return nil
}

// A role is which end of the stream this is.
type role string

const (
	sending   role = "send"
	receiving role = "receive"
)

// hello is what each end is here for.
type hello struct {
	Role   role   `json:"role"`
	Pass   string `json:"pass"`
	SHA256 bool   `json:"sha256,omitempty"` // the result shall have it

	// The sender's:
	Size    int64  `json:"size"`
	Source  string `json:"source,omitempty"`  // identity
	Version string `json:"version,omitempty"` // of the source, when the pass began
}

// passName returns a pass as hello has it.
func passName(p Pass) string { return [...]string{Full: "full", Live: "live", Final: "final"}[p] }

// fits returns why this end and the other one cannot work together; nil if they can.
func (h hello) fits(other hello) error {
	switch {
	case other.Role != sending && other.Role != receiving:
		return broken("the other end's part is %q", other.Role)
	case other.Role == h.Role:
		return broken("both ends are there to %s", h.Role)
	case other.Pass != h.Pass:
		return broken("this end's pass is %q, the other end's is %q", h.Pass, other.Pass)
	case other.Size < 0 || other.Size > math.MaxInt64-blockSize:
		return broken("the source has %d bytes", other.Size)
	}
	return nil
}

// ending is the sender's last word. With a Failure, such as a source that changed, the
// pass has not ended, but what came before it counts.
type ending struct {
	Digest  Digest   `json:"digest"`
	Failure *failure `json:"failure,omitempty"`
}

// outcome is the receiver's last word. State is Incomplete after a Failure.
type outcome struct {
	Digest   Digest       `json:"digest"`
	SHA256   []byte       `json:"sha256,omitempty"`
	State    State        `json:"state"`
	Verified Verification `json:"verified"`
}

// failure is an error as it travels. Kind is the type of those that callers branch on.
type failure struct {
	Message string     `json:"message"`
	Kind    string     `json:"kind,omitempty"` // "changed" or "size"
	Size    *SizeError `json:"size,omitempty"`
}

func newFailure(err error) *failure {
	f := &failure{Message: err.Error()}
	const longest = 4 << 10
	if len(f.Message) > longest {
		f.Message = f.Message[:longest]
	}
	if size, ok := errors.AsType[*SizeError](err); ok {
		f.Kind, f.Size = "size", size
	} else if errors.Is(err, ErrChanged) {
		f.Kind = "changed"
	}
	return f
}

// err returns the other end's error. What it says may be shown on a terminal.
func (f *failure) err() error {
	e := &RemoteError{Message: strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' {
			return r
		}
		return ' '
	}, f.Message)}
	switch {
	case f.Kind == "changed":
		e.Err = ErrChanged
	case f.Kind == "size" && f.Size != nil:
		e.Err = f.Size
	}
	return e
}

// textFrame returns a frame of JSON.
func textFrame(kind frameKind, v any) (frame, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return frame{}, err
	}
	if len(text) > mostText {
		return frame{}, broken("a frame of kind %d would have %d bytes, the longest ones have %d", kind, len(text), mostText)
	}
	return frame{p: sealFrame(append(beginFrame(nil, kind), text...))}, nil
}

// decodeText reads a payload of JSON, which holds nothing that T has not.
func decodeText[T any](kind frameKind, p []byte) (*T, error) {
	d := json.NewDecoder(bytes.NewReader(p))
	d.DisallowUnknownFields()
	v := new(T)
	if err := d.Decode(v); err != nil {
		return nil, broken("a frame of kind %d: %v", kind, err)
	}
	if rest := p[d.InputOffset():]; len(rest) > 0 {
		return nil, broken("a frame of kind %d goes on after its end with %q", kind, rest[:min(len(rest), 20)])
	}
	return v, nil
}

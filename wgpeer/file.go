package wgpeer

import (
	"bytes"
	"context"
	"errors"
	"os"

	"github.com/rehost/rehost/internal/textfile"
)

// A File is a file of wg(8) or wg-quick(8) as it stands, byte for byte. It is
// wg-quick's if its section [Interface] has one of wg-quick's own keys, such as
// Address. Commands of wg-quick are kept and never run.
//
//   - Parse(x).Bytes() is x.
//   - Setting what is there changes nothing.
//   - An edit changes only the lines that it names; comments and order stay. A last
//     line without a newline gets one when another comes behind it.
//   - Parsing the result again returns what was set.
//   - An edit that fails leaves the file untouched.
//
// Its methods must not be called from several goroutines at once.
type File struct {
	text  *textfile.File
	path  string   // "" if it was parsed from bytes
	lines []string // joined they are the text; every view is computed from them
}

// Open reads a file. The error is os.ErrNotExist if there is none, and a
// [*ParseError] as Parse returns.
func Open(path string) (*File, error) {
	text, err := textfile.Open(path)
	if err != nil {
		return nil, err
	}
	return newFile(text, path)
}

// Create starts a file that is not there: os.ErrExist if it is. It is written by
// Save, with mode 0600, and Save fails if it has appeared by then.
func Create(path string) (*File, error) {
	text, err := textfile.Create(path, 0o600)
	if err != nil {
		return nil, err
	}
	return newFile(text, path)
}

// Parse reads a file from bytes; name is for messages, and wg0.conf makes the
// interface wg0. The only text it refuses, with a [*ParseError], is one with a NUL
// byte: wg passes over the rest of that line. What else wg refuses,
// [File.Interface] and [File.Check] report.
func Parse(name string, data []byte) (*File, error) {
	return newFile(textfile.Parse(name, data), "")
}

func newFile(text *textfile.File, path string) (*File, error) {
	data := text.Original()
	if i := bytes.IndexByte(data, 0); i >= 0 {
		before := data[:i]
		return nil, &ParseError{
			File: text.Name(),
			Line: bytes.Count(before, []byte("\n")) + 1,
			Col:  i - bytes.LastIndexByte(before, '\n'),
			Err:  errors.New("a NUL byte hides the rest of the line from wg"),
		}
	}
	return &File{text: text, path: path, lines: textfile.Lines(data)}, nil
}

// Bytes returns the text as it is now, with its secrets.
func (f *File) Bytes() []byte { return textfile.Join(f.lines) }

// Changes returns the unified diff from what was read to what is there now, "" if
// nothing has changed. A number stands for each secret, the same for the same one,
// and so for whatever else looks like a key and is not the value of a PublicKey,
// also in comments.
func (f *File) Changes() string {
	m := masker{}
	old, now := m.mask(textfile.Lines(f.text.Original())), m.mask(f.lines)
	oldName := f.text.Name()
	if (textfile.Edit{File: f.text, Data: f.text.Original()}).Changed() { // it is not there yet
		oldName = os.DevNull
	}
	return textfile.Diff(oldName, old, f.text.Name(), now)
}

// Save replaces the file on disk, keeping owner, mode and symbolic link; it does
// nothing if nothing has changed. It returns [ErrStale] if the file is not what was
// read any more, and an error if the File came from Parse.
func (f *File) Save(ctx context.Context) error { return f.text.Save(ctx, f.Bytes()) }

// Interface returns what wg(8) 1.0.20210914, and wg-quick(8) before it, make of the
// file. They drop all white space, ignore the case of sections and keys, and take
// the last line of a key, but all of AllowedIPs and Address. Of several sections
// [Peer] with one key the last one's AllowedIPs count, and each other key's last
// line. Host bits of AllowedIPs are cleared. An AllowedIPs that two peers have is
// the last one's on a device; here both have it, and Check reports it.
//
// Iface is taken from a file name such as wg0.conf. KeyFile is that of a line
// "PostUp = wg set %i private-key PATH", which wg-quick(8) suggests. PublicKey is
// that of PrivateKey. A peer's Name is the comment on the line of its header, or
// between that and the keys, or directly above. An endpoint's host stays a name,
// its port becomes a number; the names of services are looked up on this machine,
// as wg does.
//
// What wg or wg-quick refuses is an error: each line a [*ParseError], which never
// holds a secret. It refuses, unlike them, endpoints with a host such as 192.0.2.010
// or a port such as * or -1, and addresses that ip(8) takes in other forms than
// 10.77.0.1/24.
func (f *File) Interface() (Interface, error) {
	v := f.view()
	var errs []error
	for _, p := range v.refused {
		errs = append(errs, &ParseError{File: p.File, Line: p.Line, Col: p.Col, Err: errors.New(p.Message)})
	}
	if errs != nil {
		return Interface{}, errors.Join(errs...)
	}
	return v.Interface, nil
}

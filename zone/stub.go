package zone

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

type File struct{}
type Options struct{ Dir string }

var errStub = errors.New("stub")

func Parse(name, origin string, data []byte) (*File, error) { return nil, errStub }
func Open(path, origin string, opt *Options) (*File, error) { return nil, errStub }
func (*File) Bytes() []byte                                 { return nil }
func (*File) WriteTo(io.Writer) (int64, error)              { return 0, nil }
func (*File) Files() iter.Seq2[string, []byte]              { return nil }
func (*File) Save(ctx context.Context) error                { return nil }
func (*File) All() iter.Seq[Record]                         { return nil }
func (*File) Lookup(owner, typ string) []Record             { return nil }
func (*File) Add(Record) error                              { return nil }
func (*File) Replace(owner, typ string, rs ...Record) error { return nil }
func (*File) Remove(Record) (bool, error)                   { return false, nil }
func (*File) TTL() (time.Duration, bool)                    { return 0, false }
func (*File) SetTTL(time.Duration) error                    { return nil }
func (*File) MaxTTL(owners ...string) time.Duration         { return 0 }
func (*File) LowerTTLs(max time.Duration) (int, error)      { return 0, nil }
func (*File) References(addrs ...netip.Addr) []Record       { return nil }
func (*File) Serial() (uint32, error)                       { return 0, nil }
func (*File) Bump(SerialPolicy, time.Time) (uint32, error)  { return 0, nil }
func (*File) Check() Problems                               { return nil }
func (Record) RR() (dns.RR, error)                          { return nil, errStub }
func ParseTTL(string) (time.Duration, error)                { return 0, nil }

type SerialPolicy func(old uint32, now time.Time) (uint32, error)

func Increment(old uint32, now time.Time) (uint32, error)   { return 0, nil }
func DateCounter(old uint32, now time.Time) (uint32, error) { return 0, nil }
func UnixTime(old uint32, now time.Time) (uint32, error)    { return 0, nil }
func CompareSerial(a, b uint32) (int, bool)                 { return 0, false }

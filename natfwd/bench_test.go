package natfwd

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"github.com/coreos/go-iptables/iptables"
	"github.com/stretchr/testify/require"

	"github.com/rehost/rehost/internal/lab"
)

// many is a set of n forwards of one family.
func many(n int) Set {
	s := Set{Name: "many"}
	for i := range n {
		s.Forwards = append(s.Forwards, Forward{Proto: TCP, Iface: "ens5", Ports: one(uint16(10000 + i)), To: guest[:1]})
	}
	return s
}

// changed is the set with ten other ports at the target.
func changed(s Set) Set {
	s.Forwards = slices.Clone(s.Forwards)
	for i := range 10 {
		s.Forwards[i*len(s.Forwards)/10].ToPort = 80
	}
	return s
}

// command is what the peers are: a program that is started once.
func command(b *testing.B, stdin []byte, argv ...string) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// BenchmarkIPTables compares the first apply to the bare restore of the same rules and
// to go-iptables rule by rule, and one that finds nothing to do to one save:
//
//	go test -run '^$' -bench IPTables -benchtime 20x ./natfwd
func BenchmarkIPTables(b *testing.B) {
	for _, mode := range []string{"nft", "legacy"} {
		for _, n := range []int{100, 1000, 4000} {
			set := many(n)
			wanted := set.wanted(IPv4)
			bare := state{}.to(wanted)
			program := "iptables-" + mode
			// Each in a network of its own, in which nothing is left of another one.
			measure := func(name string, f func(b *testing.B, apply func(Set))) {
				b.Run(fmt.Sprintf("%s/%d/%s", mode, n, name), func(b *testing.B) {
					lab.Need(b, program)
					require.NoError(b, lab.NewHost(b, "bench").Do(func() error {
						backend := realSystem(b, mode).b4
						f(b, func(s Set) {
							p, err := Diff(b.Context(), s, backend)
							require.NoError(b, err)
							require.NoError(b, Apply(b.Context(), p))
						})
						return nil
					}))
				})
			}
			clean := func(b *testing.B, apply func(Set)) {
				b.StopTimer()
				apply(Set{Name: set.Name})
				b.StartTimer()
			}
			measure("first/restore", func(b *testing.B, apply func(Set)) {
				for b.Loop() {
					command(b, bare, program+"-restore", "--noflush")
					clean(b, apply)
				}
			})
			measure("first/apply", func(b *testing.B, apply func(Set)) {
				for b.Loop() {
					apply(set)
					clean(b, apply)
				}
			})
			measure("nothing/save", func(b *testing.B, apply func(Set)) {
				apply(set)
				for b.Loop() {
					command(b, nil, program+"-save")
				}
			})
			measure("nothing/apply", func(b *testing.B, apply func(Set)) {
				apply(set)
				for b.Loop() {
					apply(set)
				}
			})
			measure("ten/restore", func(b *testing.B, apply func(Set)) {
				apply(set)
				for b.Loop() {
					command(b, bare, program+"-restore", "--noflush")
				}
			})
			measure("ten/apply", func(b *testing.B, apply func(Set)) {
				apply(set)
				next, other := changed(set), set
				for b.Loop() {
					apply(next)
					next, other = other, next
				}
			})
			if n == 1000 { // it grows with the square
				measure("first/go-iptables", func(b *testing.B, apply func(Set)) {
					ipt, err := iptables.New(iptables.Path(program))
					require.NoError(b, err)
					for b.Loop() {
						require.NoError(b, ipt.NewChain("nat", wanted.chains[0].name))
						for _, r := range wanted.chains[0].rules {
							args, err := words(r.text)
							require.NoError(b, err)
							require.NoError(b, ipt.AppendUnique("nat", r.chain, args...))
						}
						clean(b, apply)
					}
				})
			}
		}
	}
}

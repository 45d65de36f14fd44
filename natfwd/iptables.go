package natfwd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/coreos/go-iptables/iptables"
)

// An IPTables is the [Backend] of the system, or network namespace, that the program
// runs in. It starts iptables-save and iptables-restore, and needs root.
type IPTables struct {
	family Family
	path   string // of iptables or ip6tables; -save and -restore stand beside it
	nft    bool   // the nf_tables mode of iptables, not the legacy one
	flows  string // the folder that remembers UDP conversations
}

// IPTablesOptions are options of NewIPTables. The zero value is the system's iptables.
type IPTablesOptions struct {
	// Path is the program, such as "/usr/sbin/iptables-legacy", of which those with
	// -save and -restore behind the name are used. "": the "iptables", or for IPv6
	// "ip6tables", that is found in PATH.
	Path string

	// RunDir is a folder that is emptied at boot, in which UDP conversations are
	// remembered that are still to be forgotten. "": /run/rehost.
	RunDir string
}

// ErrTwoBackends says that nft and legacy iptables both hold nat rules. Packets pass
// both, and which one wins is not to be seen in either.
var ErrTwoBackends = errors.New("both the nf_tables and the legacy iptables hold nat rules")

// NewIPTables finds the system's iptables for a family; opt may be nil. A call that
// follows waits for the lock of iptables as long as its context allows.
//
// The error is [exec.ErrNotFound] if there is no such program, [errors.ErrUnsupported]
// if the system has no IPv6, and [ErrTwoBackends].
func NewIPTables(f Family, opt *IPTablesOptions) (*IPTables, error) {
	opt = cmp.Or(opt, &IPTablesOptions{})
	if f == IPv6 {
		if _, err := os.Stat("/proc/sys/net/ipv6"); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("this system has no IPv6: %w", errors.ErrUnsupported)
		}
	}
	path := cmp.Or(opt.Path, map[Family]string{IPv4: "iptables", IPv6: "ip6tables"}[f])
	proto := map[Family]iptables.Protocol{IPv4: iptables.ProtocolIPv4, IPv6: iptables.ProtocolIPv6}[f]
	found, err := iptables.New(iptables.IPFamily(proto), iptables.Path(path))
	if err != nil {
		return nil, err
	}
	// iptables-restore knows -w since 1.6.2.
	if v1, v2, v3 := found.GetIptablesVersion(); v1 < 1 || v1 == 1 && (v2 < 6 || v2 == 6 && v3 < 2) {
		return nil, fmt.Errorf("iptables is %d.%d.%d, and 1.6.2 is the first whose restore waits for the lock: %w", v1, v2, v3, errors.ErrUnsupported)
	}
	if path, err = exec.LookPath(path); err != nil {
		return nil, err
	}
	t := &IPTables{family: f, path: path, flows: cmp.Or(opt.RunDir, "/run/rehost")}
	// go-iptables knows the mode and does not tell it.
	version, err := t.run(context.Background(), nil, path, "--version")
	if err != nil {
		return nil, err
	}
	t.nft = bytes.Contains(version, []byte("nf_tables"))
	return t, t.alone(context.Background())
}

// Family returns the family that it was made for.
func (t *IPTables) Family() Family { return t.family }

// Dump returns what iptables-save prints. The error is a [*CommandError], or
// [ErrTwoBackends].
func (t *IPTables) Dump(ctx context.Context) ([]byte, error) {
	if t.nft { // in the other mode it costs another program, which Load and Verify afford
		if err := t.alone(ctx); err != nil {
			return nil, err
		}
	}
	return t.run(ctx, nil, t.path+"-save")
}

// Load has iptables-restore take the rules. The error is a [*CommandError], or
// [ErrTwoBackends].
func (t *IPTables) Load(ctx context.Context, rules []byte) error {
	if err := t.alone(ctx); err != nil {
		return err
	}
	_, err := t.run(ctx, rules, t.path+"-restore", "-w", "--noflush")
	return err
}

func (t *IPTables) rememberFlows(set string, flows []flow) error {
	return remember(t.flows, set, t.family, flows)
}

func (t *IPTables) rememberedFlows(set string) ([]flow, error) {
	return remembered(t.flows, set, t.family)
}

func (t *IPTables) forgetFlows(ctx context.Context, set string, flows []flow) error {
	if err := deleteFlows(ctx, t.family, flows); err != nil {
		return err
	}
	return forget(t.flows, set, t.family)
}

// forwards tells whether the kernel passes packets on, and which setting says so.
func (t *IPTables) forwards() (name string, on bool) {
	name = "net.ipv4.ip_forward"
	if t.family == IPv6 {
		name = "net.ipv6.conf.all.forwarding"
	}
	value, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return name, err == nil && strings.TrimSpace(string(value)) != "0"
}

// run starts a program and waits for it. A program that is killed when the context
// ends has changed all or nothing: it changes the rules by one system call.
func (t *IPTables) run(ctx context.Context, stdin []byte, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil {
		err = ctx.Err() // and not only "signal: killed"
	}
	return nil, &CommandError{Args: argv, Stderr: strings.TrimRight(stderr.String(), "\n"), Err: err}
}

// alone refuses to work where the other mode of iptables holds nat rules.
func (t *IPTables) alone(ctx context.Context) error {
	other := t.other()
	if other == "" {
		return nil
	}
	out, err := t.run(ctx, nil, other, "-t", "nat")
	if err != nil {
		// A kernel without the one or the other cannot hold rules of it.
		return ctx.Err()
	}
	r, err := parseRuleset(other, out)
	if err != nil { // they are there, and cannot be read
		return fmt.Errorf("%s: %w: %w", t.family, ErrTwoBackends, err)
	}
	if len(r.nat().rules) > 0 {
		return fmt.Errorf("%s: %w: %s works on the other ones than %s; the first of those is %s", t.family, ErrTwoBackends, t.path, other, r.nat().rules[0])
	}
	return nil
}

// other returns the -save program of the other mode, "" if there is none or it
// cannot hold nat rules.
func (t *IPTables) other() string {
	mode, names := "nft", "/proc/thread-self/net/ip_tables_names"
	if t.family == IPv6 {
		names = "/proc/thread-self/net/ip6_tables_names"
	}
	if t.nft {
		mode = "legacy"
		// The kernel lists the legacy tables that somebody has used.
		if used, err := os.ReadFile(names); err != nil || !bytes.Contains(used, []byte("nat\n")) {
			return ""
		}
	}
	program := map[Family]string{IPv4: "iptables", IPv6: "ip6tables"}[t.family] + "-" + mode + "-save"
	beside := filepath.Join(filepath.Dir(t.path), program)
	if _, err := exec.LookPath(beside); err == nil {
		return beside
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	return path
}

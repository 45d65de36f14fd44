package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rehost/rehost/natfwd"
)

// forwards is the boot hook, run for real where a user may have a network of its own.
func (r *rehearsal) forwards(ctx context.Context) error {
	set := r.Move.Forwards()
	if len(set.Forwards) == 0 {
		return nil
	}
	const how = "the rendered hook run by sh with the system's iptables, in a network namespace of its own"
	checks := []string{
		"the hook loads every forward of the move",
		"a second start of the hook changes nothing",
		"a stop of the hook takes all away, and leaves the rules of others",
	}
	t := hookTest{set: set, iface: r.Move.Router.Iface, dir: filepath.Join(r.Dir, "hook")}
	hook, err := r.rendered(2, r.Move.Router.Name, "etc/network/if-pre-up.d/rehost-"+set.Name)
	if err == nil {
		_, err = r.rendered(2, r.Move.Router.Name, "etc/network/if-post-down.d/rehost-"+set.Name)
	}
	if err != nil {
		r.check("the hook of the forwards is there, for both ways", "a look at the rendered files", "", err)
		return nil
	}
	if err := os.Mkdir(t.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(t.path("hook"), hook, 0o700); err != nil {
		return err
	}
	refused, err := t.choose(ctx)
	if err != nil {
		return err
	}
	if refused != "" {
		for _, check := range checks {
			r.notTried(check, how, "rendered but not tried: "+refused)
		}
		return nil
	}
	said, err := t.run(ctx, hookScript, append([]string{t.path("hook"), t.iface, t.dir}, t.programs...)...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.check(checks[0], how, "", errors.New(why(said, err)))
		return nil
	}
	detail, err := t.loaded(ctx, "once")
	if err != nil && len(said) > 0 { // the hook exits 0 all the same
		err = errors.Join(errors.New(why(said, nil)), err)
	}
	r.check(checks[0], how, detail, err)
	r.check(checks[1], how, "", t.same("once", "twice"))
	r.check(checks[2], how, "", t.same("before", "stopped"))
	if t.without != "" {
		r.notTried("the same in IPv6", how, "rendered but not tried: "+t.without)
	}
	return nil
}

// A hookTest runs a hook with the programs of iptables, and keeps what they show.
type hookTest struct {
	set      natfwd.Set
	iface    string
	dir      string
	programs []string // iptables, and ip6tables where it works
	bin      string   // a folder in which these names are the legacy programs; "": the system's own
	without  string   // why IPv6 was left out
}

func (t *hookTest) path(name string) string { return filepath.Join(t.dir, name) }

// choose finds programs that work here. It returns why there are none: the checks are not
// to fail for what this machine lacks.
func (t *hookTest) choose(ctx context.Context) (refused string, err error) {
	err4 := t.probe(ctx, "iptables")
	if err4 != nil && ctx.Err() == nil {
		if err := t.useLegacy(); err != nil {
			return "", err
		}
		if t.bin != "" && t.probe(ctx, "iptables") == nil {
			err4 = nil
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err4 != nil {
		return err4.Error(), nil
	}
	t.programs = []string{"iptables"}
	if err := t.probe(ctx, "ip6tables"); err == nil {
		t.programs = append(t.programs, "ip6tables")
	} else if t.wants(natfwd.IPv6) {
		t.without = err.Error()
	}
	return "", ctx.Err()
}

// useLegacy gives the legacy programs the names by which the hook calls them.
func (t *hookTest) useLegacy() error {
	program := lookPath("iptables-legacy")
	if program == "" {
		return nil
	}
	t.bin = t.path("bin")
	if err := os.Mkdir(t.bin, 0o700); err != nil {
		return err
	}
	var errs []error
	for _, name := range []string{"iptables", "ip6tables"} {
		for _, what := range []string{"", "-save", "-restore"} {
			errs = append(errs, os.Symlink(filepath.Join(filepath.Dir(program), name+"-legacy"+what), filepath.Join(t.bin, name+what)))
		}
	}
	return errors.Join(errs...)
}

// probe tries one program with rules of the kinds that the hook loads.
func (t *hookTest) probe(ctx context.Context, program string) error {
	if lookPath(program) == "" {
		return fmt.Errorf("there is no %s here", program)
	}
	to := "192.0.2.1"
	if program == "ip6tables" {
		to = "2001:db8::1"
	}
	rules := "*nat\n:probe - [0:0]\n" +
		"-A probe -p tcp -m tcp --dport 9 -j DNAT --to-destination " + to + "\n" +
		"-A probe -p udp -m multiport --dports 9,10 -j DNAT --to-destination " + to + "\n" +
		"-A probe -o lo -j MASQUERADE\n"
	if t.set.Hairpin || t.set.Local {
		rules += "-A probe -m addrtype --src-type LOCAL -m conntrack --ctstate DNAT -j MASQUERADE\n"
	}
	if err := os.WriteFile(t.path("probe"), []byte(rules+"COMMIT\n"), 0o600); err != nil {
		return err
	}
	if said, err := t.run(ctx, probeScript, program, t.path("probe")); err != nil {
		return errors.New(program + ": " + why(said, err))
	}
	return nil
}

const probeScript = `"$1-restore" --noflush <"$2" && "$1-save" -t nat >/dev/null`

// hookScript starts the hook twice and stops it, with a rule of another's in each family,
// and keeps what is loaded before and after each step.
const hookScript = `
hook=$1 iface=$2 dir=$3
shift 3
save() {
	stage=$1
	shift
	for p; do
		"$p-save" -t nat >"$dir/$stage.$p" || exit
	done
}
for p; do
	"$p" -t nat -A PREROUTING -p tcp --dport 9 -j ACCEPT || exit
done
save before "$@"
IFACE=$iface MODE=start sh "$hook" || exit
save once "$@"
IFACE=$iface MODE=start sh "$hook" || exit
save twice "$@"
IFACE=$iface MODE=stop sh "$hook" || exit
save stopped "$@"
`

// run runs a script in namespaces of its own, in which it is root, and returns what it
// says on standard error.
func (t *hookTest) run(ctx context.Context, script string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, programPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.WaitDelay = time.Second
	path := os.Getenv("PATH") + ":" + systemPath
	if t.bin != "" {
		path = t.bin + ":" + path
	}
	cmd.Env = []string{"PATH=" + path, "XTABLES_LOCKFILE=" + t.path("lock")}
	var said strings.Builder
	cmd.Stderr = &said
	if err := isolate(cmd); err != nil {
		return nil, err
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err() // not that it was killed
	}
	return []byte(said.String()), err
}

// loaded compares what is loaded with the set.
func (t *hookTest) loaded(ctx context.Context, stage string) (string, error) {
	var backends []natfwd.Backend
	set := t.set
	for _, program := range t.programs {
		family := natfwd.IPv4
		if program == "ip6tables" {
			family = natfwd.IPv6
		}
		backends = append(backends, shown{family, t.path(stage + "." + program)})
	}
	if t.without != "" {
		set = only4(set)
	}
	plan, err := natfwd.Diff(ctx, set, backends...)
	if err != nil {
		return "", err
	}
	if !plan.Empty() {
		return "", fmt.Errorf("what is missing (+) or too much (-):\n%s", plan)
	}
	return fmt.Sprintf("%d forwards, with %s", len(set.Forwards), strings.Join(t.programs, " and ")), nil
}

func (t *hookTest) wants(f natfwd.Family) bool {
	for _, fw := range t.set.Forwards {
		for _, to := range fw.To {
			if to.Is6() == (f == natfwd.IPv6) {
				return true
			}
		}
	}
	return false
}

// only4 is the set without IPv6.
func only4(set natfwd.Set) natfwd.Set {
	forwards := set.Forwards
	set.Forwards = nil
	for _, fw := range forwards {
		for _, to := range fw.To {
			if to.Is4() {
				fw.To = fw.To[:0:0]
				fw.To = append(fw.To, to)
				set.Forwards = append(set.Forwards, fw)
				break
			}
		}
	}
	return set
}

// same compares what was loaded at two stages.
func (t *hookTest) same(a, b string) error {
	for _, program := range t.programs {
		before, err := rules(t.path(a + "." + program))
		if err != nil {
			return err
		}
		after, err := rules(t.path(b + "." + program))
		if err != nil {
			return err
		}
		if !slices.Equal(before, after) {
			return fmt.Errorf("%s shows %q, and %q before", program, after, before)
		}
	}
	return nil
}

// rules are the lines of iptables-save without its comments, which have the time.
func rules(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	var list []string
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list, err
}

// shown is a natfwd.Backend of rules that were loaded once.
type shown struct {
	family natfwd.Family
	path   string
}

func (s shown) Family() natfwd.Family                { return s.family }
func (s shown) Dump(context.Context) ([]byte, error) { return os.ReadFile(s.path) }
func (s shown) Load(context.Context, []byte) error   { return errors.ErrUnsupported }

// systemPath is where a user's PATH does not always lead.
const systemPath = "/usr/local/sbin:/usr/sbin:/sbin"

// lookPath finds a program; "" if there is none.
func lookPath(name string) string {
	if found, err := exec.LookPath(name); err == nil {
		return found
	}
	for dir := range strings.SplitSeq(systemPath, ":") {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found
		}
	}
	return ""
}

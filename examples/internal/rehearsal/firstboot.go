package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/rehost/rehost/bhyve"
	"github.com/rehost/rehost/netbsdcfg"
)

// boot is the guest at home, with the disk that was copied.
func (r *rehearsal) boot(ctx context.Context) error {
	const check, how = "nothing that was acknowledged before the stop is lost", "the service at home, by the new path, asked for the last message on its disk"
	g, err := startGuest(r.homeDisk(), r.zone, r.certs, r.certificates(), nil)
	if err != nil {
		r.check(check, how, "", err)
		return err
	}
	r.guest = g
	r.router.leadTo(g)
	r.silentTo = r.now()
	last, err := r.client.say(ctx, r.router.service.addr, found)
	if err == nil && last < r.delivered {
		err = fmt.Errorf("it is %d, and clients had an answer for %d", last, r.delivered)
	}
	r.check(check, how, fmt.Sprintf("message %d", last), err)
	return ctx.Err()
}

// bootFiles are vm-bhyve's: single-user mode the first time, and only then.
func (r *rehearsal) bootFiles(context.Context) error {
	m := r.Move
	const how = "both rendered files, read as vm-bhyve does"
	name := path.Join(m.Hypervisor.Datastore, m.Guest.Name, m.Guest.Name+".conf")
	once, err := r.vmFile(m.Hypervisor.Name+"-single-user", name)
	if err == nil && !once.SingleUser() {
		err = errors.New("it does not: the guest would come up with the provider's addresses")
	}
	r.check("the first start is in single-user mode", how, "", err)
	good, err := r.vmFile(m.Hypervisor.Name, name)
	if err == nil && good.SingleUser() {
		err = errors.New("-s is still in grub_run: the guest waits on the console for ever")
	}
	r.check("the start for good is not", how, "", err)
	if once == nil || good == nil {
		return nil
	}
	err = once.SetSingleUser(false)
	if err == nil && !bytes.Equal(once.Bytes(), good.Bytes()) {
		err = errors.New("they differ in more than -s")
	}
	r.check("both files are of one guest", how, "", err)
	r.notTried("bhyve boots the guest", "vm start", "it needs a FreeBSD with bhyve")
	return nil
}

func (r *rehearsal) vmFile(dir, name string) (*bhyve.File, error) {
	data, err := r.rendered(6, dir, name)
	if err != nil {
		return nil, err
	}
	f, err := bhyve.Parse(name, data)
	if err != nil {
		return nil, err
	}
	return f, f.Check().Err()
}

// homeNetwork reads the guest's files as a whole, as the first boot at home does.
func (r *rehearsal) homeNetwork(context.Context) error {
	r.tunnel(6)
	root := filepath.Join(r.Dir, "guest")
	if err := r.copyGuest(6, root); err != nil {
		return err
	}
	host, err := netbsdcfg.OpenHost(root)
	if err != nil {
		return err
	}
	const how = "all network files of the guest after phase 6, read as rc(8) does"
	r.check("the guest's network at home has no mistake", how, "", host.Check().Err())
	r.check("everything goes into the tunnel, but for the tunnel itself", how, "", r.routes(host))
	r.check("nothing of the old network is left", how, "", r.leftovers(host))
	return nil
}

// routes finds the routes that the guest's tunnel needs.
func (r *rehearsal) routes(host *netbsdcfg.Host) error {
	m := r.Move
	f := host.Ifconfig[m.Tunnel.Iface]
	if f == nil {
		return fmt.Errorf("there is no ifconfig.%s", m.Tunnel.Iface)
	}
	want := [][]string{
		{"route", "add", "-host", m.Router.Address.String(), m.Guest.Home.Gateway.String()},
		{"route", "add", "default", m.Tunnel.Router.Addr(true).String()},
	}
	if a := m.Tunnel.Router.Addr(false); a.IsValid() {
		want = append(want, []string{"route", "add", "-inet6", "default", a.String()})
	}
	// The order counts: without the first one, the second takes the tunnel's own packets.
	at := 0
	commands := f.Commands(m.Tunnel.Iface)
	for _, argv := range want {
		i := slices.IndexFunc(commands[at:], func(c netbsdcfg.Command) bool {
			return len(c.Argv) > 0 && path.Base(c.Argv[0]) == argv[0] && slices.Equal(c.Argv[1:], argv[1:])
		})
		if i < 0 {
			return fmt.Errorf("%q is not run, or too early", argv)
		}
		at += i + 1
	}
	return nil
}

// leftovers finds what would lead the guest's packets back to where it was.
func (r *rehearsal) leftovers(host *netbsdcfg.Host) error {
	m := r.Move
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if host.MyGate != nil || host.MyGate6 != nil {
		add("there is an /etc/mygate or /etc/mygate6: remove it")
	}
	for _, key := range []string{"defaultroute", "defaultroute6"} {
		if value, ok := host.RC.Get(key); ok && value != "" {
			add("rc.conf still has %s=%s", key, value)
		}
	}
	if on, _ := host.RC.Enabled("pf"); on {
		add("pf is still on, with rules for two paths")
	}
	lan := host.Ifconfig[m.Guest.Home.Iface]
	if lan == nil {
		add("there is no ifconfig.%s", m.Guest.Home.Iface)
		return errors.Join(errs...)
	}
	if !slices.Contains(lan.Addrs(), m.Guest.Home.Address) {
		add("%s does not get %s", m.Guest.Home.Iface, m.Guest.Home.Address)
	}
	for _, a := range lan.Addrs() {
		if a.Addr() == m.Guest.Old.Address {
			add("%s still has the old address %s", m.Guest.Home.Iface, a)
		}
	}
	return errors.Join(errs...)
}

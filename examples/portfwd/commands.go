package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rehost/rehost/examples/internal/cli"
	"github.com/rehost/rehost/examples/internal/move"
	"github.com/rehost/rehost/natfwd"
)

const diffHelp = `Diff compares the live rules with those of FILE, as lines with + and -. A rule of
somebody else that takes the same packets is an error, which names the rule.
`

func (f *flags) diff(ctx context.Context, args []string) error {
	f.dry = true
	return f.apply(ctx, args)
}

const applyHelp = `Apply makes the live rules those of FILE, and prints what it changed. A second time
there is nothing to do.
`

func (f *flags) apply(ctx context.Context, args []string) error {
	m, set, err := loadSet(args[0])
	if err != nil {
		return err
	}
	return f.carryOut(ctx, m, set)
}

const removeHelp = `Remove takes the rules of FILE away: as they are now, whatever FILE says besides the
guest's name.
`

func (f *flags) remove(ctx context.Context, args []string) error {
	m, err := load(args[0])
	if err != nil {
		return err
	}
	return f.carryOut(ctx, m, natfwd.Set{Name: m.Forwards().Name})
}

func (f *flags) carryOut(ctx context.Context, m *move.Move, set natfwd.Set) error {
	list, err := backends(m, set)
	if err != nil {
		return err
	}
	p, err := natfwd.Diff(ctx, set, list...)
	if err != nil {
		return err
	}
	if !f.dry {
		if err := natfwd.Apply(ctx, p); err != nil {
			return err
		}
	}
	return cli.PrintPlan(p, f.dry, f.json)
}

const verifyHelp = `Verify says what keeps the forwards from working: rules that another tool has taken
away when it reloaded its own, rules in front of them, a filter that drops what is
forwarded, a kernel that forwards nothing. It says nothing, and exits with status 0,
if all is well; with 3 if something is an error, and not only a warning. In a file of
/etc/cron.d, where cron(8) would not look for iptables by itself:

    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
    * * * * * root portfwd verify FILE || portfwd apply FILE
`

func (f *flags) verify(ctx context.Context, args []string) error {
	m, set, err := loadSet(args[0])
	if err != nil {
		return err
	}
	list, err := backends(m, set)
	if err != nil {
		return err
	}
	problems, err := natfwd.Verify(ctx, set, list...)
	if err != nil {
		return err
	}
	if f.json {
		err = cli.JSON(append(natfwd.Problems{}, problems...)) // never null
	} else {
		_, err = fmt.Print(problems)
	}
	if err == nil && problems.Err() != nil {
		err = cli.ErrDiffers
	}
	return err
}

const hookHelp = `Hook installs a script for ifupdown that loads the rules before the interface comes up
and removes them when it is down, with the link by which ifupdown finds it. With -unit
it installs a systemd unit instead, for a router without ifupdown: enable it.
`

func (f *flags) hook(ctx context.Context, args []string) error {
	m, set, err := loadSet(args[0])
	if err != nil {
		return err
	}
	if f.unit {
		unit, err := set.Unit()
		if err != nil {
			return err
		}
		return cli.Install(ctx, []natfwd.Output{unit}, f.root, f.dry, f.json)
	}
	if f.iface == "" {
		f.iface = m.Router.Iface
	}
	files, err := set.Hook(f.iface)
	if err != nil {
		return err
	}
	return cli.Install(ctx, files, f.root, f.dry, f.json)
}

const inboundHelp = `Inbound prints what the cloud's own firewall has to let in: what is forwarded, the
tunnel's port, and ports 80 and 443 where nginx on the router answers for a service,
or 80 where only certificates need it.
`

func (f *flags) inbound(_ context.Context, args []string) error {
	m, set, err := loadSet(args[0])
	if err != nil {
		return err
	}
	extra := []natfwd.Port{{Proto: natfwd.UDP, Port: m.Tunnel.Port}}
	for _, port := range m.NginxPorts() {
		extra = append(extra, natfwd.Port{Proto: natfwd.TCP, Port: port})
	}
	text, err := set.InboundRules(extra...)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

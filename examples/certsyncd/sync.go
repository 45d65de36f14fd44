package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/cli"
)

const issueHelp = `Issue gets every certificate that is missing, or whose time for renewal has come, and
keeps it in publish.dir. Run it as often as you like: it asks the authority only when
there is something to do. What fails while the present certificate is good for long is
mentioned, and no failure.
`

func (f *flags) issue(ctx context.Context, args []string) error {
	c, err := load(args[0])
	if err != nil {
		return err
	}
	if c.Issue == nil {
		return c.lacks("issue")
	}
	if f.dry {
		return f.issueDry(ctx, c.renewer(nil))
	}
	issuer, err := c.issuer()
	if err != nil {
		return err
	}
	r := c.renewer(issuer)
	r.Force = f.force
	events, err := r.Renew(ctx)
	return f.print(events, err)
}

func (f *flags) issueDry(ctx context.Context, r *certsync.Renewer) error {
	list, err := r.Status(ctx)
	if err != nil {
		return err
	}
	todo := lines{}
	for _, s := range list {
		switch {
		case s.Fingerprint.IsZero():
			todo.add("%s: to be got for the first time", s.Name)
		case s.Due, !s.RenewAt.IsZero() && !time.Now().Before(s.RenewAt):
			todo.add("%s: due for renewal", s.Name)
		case s.Problem != "":
			todo.add("%s: %s", s.Name, s.Problem)
		case f.force:
			todo.add("%s: not due, and renewed all the same", s.Name)
		}
	}
	return cli.PrintPlan(todo, true, f.json)
}

const syncHelp = `Sync fetches what has changed, validates it, installs it, and tells the daemons that
serve it: each once for each change, and again with every run until it has worked. With
-n it fetches and validates, installs nothing and tells nobody.
`

func (f *flags) sync(ctx context.Context, args []string) error {
	c, err := load(args[0])
	if err != nil {
		return err
	}
	if c.Install == nil {
		return c.lacks("install")
	}
	consumer, err := c.consumer()
	if err != nil {
		return err
	}
	consumer.Force = f.force
	if f.dry {
		return f.syncDry(ctx, consumer)
	}
	if f.untold {
		consumer.Daemons = nil
	}
	events, err := consumer.Sync(ctx)
	return f.print(events, err)
}

func (f *flags) syncDry(ctx context.Context, c *certsync.Consumer) error {
	list, err := c.Status(ctx)
	if err != nil {
		return err
	}
	todo := lines{}
	var errs []error
	for i, s := range list {
		b, err := c.Source.Fetch(ctx, s.Name, s.Fingerprint)
		switch {
		case errors.Is(err, certsync.ErrNotModified), err == nil && b.Fingerprint() == s.Fingerprint:
			if len(s.Pending) > 0 && !f.untold {
				todo.add("%s: to be told: %s", s.Name, strings.Join(s.Pending, ", "))
			}
			continue
		case err == nil:
			err = validate(ctx, c, c.Certificates[i], b)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name, err))
			continue
		}
		leaf, err := b.Leaf()
		if err != nil { // it has been validated
			return err
		}
		todo.add("%s: to be installed: %s, valid until %s", s.Name, short(b.Fingerprint()), day(leaf.NotAfter))
		if len(s.Daemons) > 0 && !f.untold {
			todo.add("%s: to be told: %s", s.Name, strings.Join(s.Daemons, ", "))
		}
	}
	err = cli.PrintPlan(todo, true, f.json)
	if failed := errors.Join(errs...); failed != nil {
		return failed
	}
	return err
}

// validate is what a run does with a bundle before it installs it.
func validate(ctx context.Context, c *certsync.Consumer, cert certsync.Certificate, b *certsync.Bundle) error {
	policy := c.Policy
	policy.Names = cert.Domains
	if installed, err := c.Dir.Fetch(ctx, cert.Name, certsync.Fingerprint{}); err == nil && !c.Force {
		if policy.Installed, err = installed.Leaf(); err != nil {
			return err
		}
	}
	return b.Validate(policy)
}

// lacks is the error of a command for which FILE has nothing.
func (c *config) lacks(table string) error {
	return fmt.Errorf("%s: there is no table %s", c.path, table)
}

// lines are what there is to do, for [cli.PrintPlan].
type lines []string

func (l *lines) add(format string, args ...any) { *l = append(*l, fmt.Sprintf(format, args...)) }

func (l lines) Empty() bool { return len(l) == 0 }

func (l lines) String() string {
	var b strings.Builder
	for _, line := range l {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// print prints the events of a run that has ended with err. What has failed is in err, and
// comes with it on standard error: a cron job may drop the rest.
func (f *flags) print(events []certsync.Event, err error) error {
	if f.json {
		type event struct {
			Name    string               `json:"name"`
			Old     certsync.Fingerprint `json:"old"`
			New     certsync.Fingerprint `json:"new"`
			Daemons []string             `json:"daemons,omitempty"`
			Error   string               `json:"error,omitempty"`
			Warning bool                 `json:"warning,omitempty"`
		}
		list := []event{}
		for _, e := range events {
			text := ""
			if e.Err != nil {
				text = e.Err.Error()
			}
			list = append(list, event{e.Name, e.Old, e.New, e.Daemons, text, e.Warning})
		}
		return errors.Join(err, cli.JSON(list))
	}
	happened := slices.DeleteFunc(slices.Clone(events), func(e certsync.Event) bool { return e.Err != nil && !e.Warning })
	for _, e := range happened {
		fmt.Println(e)
	}
	return err
}

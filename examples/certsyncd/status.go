package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rehost/rehost/certsync"
	"github.com/rehost/rehost/examples/internal/cli"
)

const statusHelp = `Status shows, from the files alone, every certificate that FILE has: when it ends, its
fingerprint (of chain and key together: not the one that openssl shows), the daemons that
serve it, and those who have yet to be told.
`

func (f *flags) status(ctx context.Context, args []string) error {
	c, err := load(args[0])
	if err != nil {
		return err
	}
	all, err := c.status(ctx)
	if err != nil {
		return err
	}
	if f.json {
		return cli.JSON(all)
	}
	both := all.Published != nil && all.Installed != nil
	if both {
		fmt.Println("Published:")
	}
	table(all.Published)
	if both {
		fmt.Println("\nInstalled:")
	}
	table(all.Installed)
	return nil
}

// statuses are those of the two directories that a machine may have.
type statuses struct {
	Published []certsync.Status `json:"published,omitempty"`
	Installed []certsync.Status `json:"installed,omitempty"`
}

func (c *config) status(ctx context.Context) (all statuses, err error) {
	switch {
	case c.Issue != nil:
		if all.Published, err = c.renewer(nil).Status(ctx); err != nil {
			return all, err
		}
	case c.Publish != nil: // somebody else puts them there
		only := &certsync.Consumer{Source: c.published(), Dir: c.published(), Certificates: c.certificates(), Alarm: c.Alarm.Duration}
		if all.Published, err = only.Status(ctx); err != nil {
			return all, err
		}
	}
	if c.Install != nil {
		consumer, err := c.consumer()
		if err != nil {
			return all, err
		}
		if all.Installed, err = consumer.Status(ctx); err != nil {
			return all, err
		}
	}
	return all, nil
}

func table(list []certsync.Status) {
	if list == nil {
		return
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tEXPIRES\tFINGERPRINT\tDAEMONS\tPENDING")
	for _, s := range list {
		expires := "-"
		if !s.NotAfter.IsZero() {
			expires = day(s.NotAfter)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Name, expires, short(s.Fingerprint), names(s.Daemons), names(s.Pending))
	}
	w.Flush()
	for _, s := range list {
		if s.Problem != "" {
			fmt.Printf("%s: %s\n", s.Name, s.Problem)
		}
	}
}

func names(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, ",")
}

// short is enough of a fingerprint to compare by eye.
func short(f certsync.Fingerprint) string {
	if f.IsZero() {
		return "-"
	}
	return f.String()[:12]
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

const checkHelp = `Check prints what needs somebody, and exits with status 3: a certificate that is not
there, not as FILE says, or overdue, what has failed, and daemons that have yet to be told.
It prints nothing, and exits with 0, if all is well. It reads files only, keys among them,
so that monitoring may run it often, as root.
`

func (f *flags) check(ctx context.Context, args []string) error {
	c, err := load(args[0])
	if err != nil {
		return err
	}
	all, err := c.status(ctx)
	if err != nil {
		return err
	}
	found := lines{}
	both := slices.Concat(all.Published, all.Installed)
	for i, s := range both {
		if len(both) > len(c.Certificates) { // each is there twice
			s.Name = []string{"published ", "installed "}[i/len(c.Certificates)] + s.Name
		}
		if s.Problem != "" {
			found.add("%s: %s", s.Name, s.Problem)
		}
		if s.Due && !s.NotAfter.IsZero() {
			found.add("%s: it ends %s, and should have been replaced by now", s.Name, day(s.NotAfter))
		}
		if late := time.Since(s.RenewAt); !s.RenewAt.IsZero() && late > 24*time.Hour {
			found.add("%s: due for renewal since %s: nobody has tried", s.Name, day(s.RenewAt))
		}
		if len(s.Pending) > 0 {
			found.add("%s: yet to be told: %s", s.Name, strings.Join(s.Pending, ", "))
		}
	}
	if f.json {
		err = cli.JSON(append(lines{}, found...))
	} else {
		_, err = fmt.Print(found)
	}
	if err == nil && len(found) > 0 {
		err = cli.ErrDiffers
	}
	return err
}

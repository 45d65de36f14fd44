package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rehost/rehost/blockcopy"
)

// report tells what a copy did, on failure too.
func (c *call) report(r blockcopy.Result, failed error, src, dst place) error {
	if c.json {
		return c.reportJSON(r, failed)
	}
	if failed != nil && r.Durable == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s of %s in %s: %s\n", stateName(r.State), size(r.Durable), size(r.Size), r.Elapsed.Round(time.Millisecond), shares(r.Progress))
	for _, bad := range r.Bad {
		fmt.Fprintf(&b, "not readable: %d bytes at %d of %s\n", bad.Length, bad.Offset, src)
	}
	if r.State != blockcopy.Incomplete {
		how := verifiedName(r.Verified)
		if r.Verified == blockcopy.NotVerified && r.Moved == 0 {
			how = "nothing had to be written"
		}
		fmt.Fprintf(&b, "verified: %s\nBLAKE3: %s\n", how, r.Digest)
		if r.SHA256 != nil {
			fmt.Fprintf(&b, "SHA-256: %x\n", r.SHA256)
		}
		where := ""
		if dst.host != "" {
			where = ", at " + dst.host
		}
		fmt.Fprintf(&b, "check it with%s:\n    %s\n", where, checkLine(r.Digest, dst.path))
	}
	if r.State == blockcopy.Dirty {
		fmt.Fprintf(&b, "The source was in use, so the target is of no use yet. Stop the source, then:\n    %s\n", c.next())
	}
	_, err := fmt.Fprint(c.stdout, b.String())
	return err
}

func (c *call) reportJSON(r blockcopy.Result, failed error) error {
	e := progressJSON("result", r.Progress)
	e.outcome = &outcome{State: stateName(r.State), SHA256: hex.EncodeToString(r.SHA256), Verified: verifiedName(r.Verified), Bad: r.Bad}
	if r.State != blockcopy.Incomplete {
		e.Digest = &r.Digest
	}
	if r.State == blockcopy.Dirty {
		e.Next = c.next()
	}
	if failed != nil {
		e.Error = failed.Error()
	}
	return json.NewEncoder(c.stdout).Encode(e)
}

// sumLine is the digest and the path as b3sum prints them: with a backslash in front
// if the path has characters that are escaped.
func sumLine(d blockcopy.Digest, path string) string {
	escaped := strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(path)
	if escaped != path {
		return fmt.Sprintf(`\%s  %s`, d, escaped)
	}
	return fmt.Sprintf("%s  %s", d, path)
}

// checkLine is the command that has b3sum check a file.
func checkLine(d blockcopy.Digest, path string) string {
	line := sumLine(d, path)
	if strings.HasPrefix(line, `\`) { // which some echo would take for something else
		return shellLine("printf", `%s\n`, line) + " | b3sum --check"
	}
	return shellLine("echo", line) + " | b3sum --check"
}

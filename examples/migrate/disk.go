package main

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/rehost/rehost/examples/internal/move"
)

// disk is phase 5: most of the disk moves while the machine runs, and what has
// changed since while it is stopped.
func disk(m *move.Move, _ *machines) (phase, error) {
	old, guest, home := m.Guest.Old, m.Guest.Name, m.Hypervisor.Name
	image := path.Join(path.Dir(guestFile(m)), m.Guest.VM.Disk)
	places := fmt.Sprintf("-sudo -agent ./diskmove %s:%s %s", old.Host, old.Disk, image)
	stop := estimate(m.Disk)
	return phase{Dir: "05-disk", Title: "The disk",
		Goal: fmt.Sprintf("%s:%s is the guest's disk. With the machine stopped, that takes about %s.", home, image, short(stop.stop)),
		Steps: []step{
			{Title: "Take the files of phase 6 along", Host: guest,
				Do:  "The first boot at home has no network: what it needs has to be on the disk before the final pass. From the folder of this runbook, `scp -rp 06-first-boot/" + guest + " root@" + guest + ":/root/move`, where /root/move is not there yet. migrate, the move file and the present files go along, for the checks on the console.",
				Run: []string{"ls /root/move/etc"},
				Check: []check{takenAlong(m), diskAtHome(m),
					byHand("/etc/resolv.conf names servers that answer at home too: a provider's often answers its own guests only.")}},
			{Title: "The host is ready", Host: home, Do: "Find out now, not while everything is stopped.",
				Run: []string{"pkg info vm-bhyve grub2-bhyve", "vm switch list", "mkdir -p " + path.Dir(image), "df -h " + path.Dir(image)},
				Check: []check{
					byHand("Both packages are there, and the switch " + m.Guest.VM.Switch + "."),
					byHand(fmt.Sprintf("There is room for %s: a disk with zeros needs less.", m.Disk.Size)),
				}},
			{Title: "Install diskmove at both ends",
				Do: fmt.Sprintf("On a machine with Go, in this module's folder. uname -sm tells the GOOS and GOARCH of %s: here it is a Linux.", old.Host),
				Run: []string{
					"GOOS=freebsd GOARCH=amd64 go build -o diskmove-home ./examples/diskmove && scp diskmove-home root@" + home + ":/usr/local/bin/diskmove",
					"GOOS=linux GOARCH=amd64 go build -o diskmove-old ./examples/diskmove && scp diskmove-old " + old.Host + ":diskmove",
				},
				Check: []check{byHand(fmt.Sprintf("On %s: `ssh %s sudo -n ./diskmove -h` prints its help, and asks for nothing.", home, old.Host))}},
			{Title: "What there is to do", Host: home,
				Do:  "Nothing is written. It ends with status 3.",
				Run: []string{"diskmove copy -n " + places},
				Check: []check{byHand(fmt.Sprintf("The source has %s, as disk.size says, or the estimate below counts for nothing.", m.Disk.Size)),
					byHand("The target will be made. One that is there is an earlier try.")}},
			{Title: "The live pass", Host: home,
				Do:  fmt.Sprintf("The machine runs, and the disk is only read: with all of it new, the pass takes %s. If the link fails, give the same command again. Repeat it shortly before the stop: a second pass moves only what has changed.", short(stop.whole)),
				Run: []string{"diskmove copy -live " + places},
				Check: []check{byHand("It says dirty, which is as it should be: blocks from before and after a write stand side by side. Do not boot from it."),
					passed(m, image, "`diskmove status "+image+".journal` says dirty.", false)}},
			{Title: "Stop", Host: guest, Do: "From here on nothing answers until the guest boots at home.",
				Show:  stop.lines(m.Disk),
				Run:   []string{"shutdown -p now"},
				Check: []check{byHand(old.Host + " shows the guest as stopped, and does not start it again by itself.")}},
			{Title: "The final pass", Host: home,
				Do:  "Both ends read the whole disk, and what differs is moved, read back and checked.",
				Run: []string{"diskmove copy -final " + places},
				Check: []check{
					passed(m, image, "It says complete, as does `diskmove status "+image+".journal`. The digest that it prints is that of the source, and of the target as it was read back or compared.", true),
					byHand(fmt.Sprintf("Whoever wants another program's word, and has another %s of stop for it: the line with b3sum that it prints, and `ssh %s sudo -n b3sum %s`, or `diskmove verify %s`.",
						short(stop.read), old.Host, old.Disk, places)),
				}},
		},
		Back: []string{
			fmt.Sprintf("Start the guest at %s again: its disk was only read, and nothing was written there. With the zone of phase 4 it still answers through the tunnel.", old.Host),
			"What was copied stays good for the next try: begin with the live pass. `rm " + image + ".journal` after phase 7.",
		},
		BackCheck: slices.Concat(reachable(m, old.Address), reachable(m, m.Router.Address)),
	}, nil
}

// An outage is how long things take, computed from sizes and rates.
type outage struct {
	read, changes time.Duration // of the whole disk at the slower end; of what changed over the link
	stop          time.Duration // the final pass, with its margin
	whole         time.Duration // the whole disk over the link, as dd and the first live pass need it
}

func estimate(d move.Disk) outage {
	o := outage{read: duration(d.Size, d.Read), changes: duration(d.Changed, d.Link)}
	o.stop = max(o.read, o.changes) * 5 / 4
	o.whole = max(o.read, duration(d.Size, d.Link))
	return o
}

func duration(n, perSecond move.Bytes) time.Duration {
	return time.Duration(float64(n) / float64(perSecond) * float64(time.Second))
}

// lines are the estimate with its formula.
func (o outage) lines(d move.Disk) []string {
	return []string{
		fmt.Sprintf("read the disk, both ends at once    %s / %s a second = %s", d.Size, d.Read, short(o.read)),
		fmt.Sprintf("move what has changed, meanwhile    %s / %s a second = %s", d.Changed, d.Link, short(o.changes)),
		fmt.Sprintf("the final pass                      the longer one, and a quarter = %s", short(o.stop)),
		fmt.Sprintf("dd of the whole disk, instead       %s / %s a second = %s", d.Size, min(d.Read, d.Link), short(o.whole)),
	}
}

// short is a duration in minutes, rounded up, without the seconds.
func short(d time.Duration) string {
	minutes := (d + time.Minute - 1) / time.Minute
	if minutes < 60 {
		return fmt.Sprintf("%dm", minutes)
	}
	return fmt.Sprintf("%dh%02dm", minutes/60, minutes%60)
}

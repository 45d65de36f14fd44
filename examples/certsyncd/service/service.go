// Package service has the files that run certsyncd: units of systemd, a crontab line, and
// a script for NetBSD's rc.d(8). They expect the program at /usr/local/bin/certsyncd and
// its file at /etc/certsyncd.toml.
package service

import "embed"

// Files are the files of this directory.
//
//go:embed *.service *.timer *.cron certsyncd
var Files embed.FS

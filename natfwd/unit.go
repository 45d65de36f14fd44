package natfwd

import "strings"

// Unit renders the set for systemd, as an alternative to the hook of ifupdown: a
// service that loads it before there is a network, and removes it when the service
// is stopped. It depends on no interface. The same script as the hook's is in the
// unit; it is enabled with "systemctl enable --now rehost-NAME.service".
//
// Services that load a firewall empty the tables first. The unit follows those that
// Debian has: when systemctl restarts or reloads one of them, the set is loaded after
// it, and when systemctl stops one, the set is removed until that is started again. Two
// things do not reach it: a firewall that is started for the first time since the set
// was loaded, and what does not go through systemd, "ufw reload" and "firewall-cmd
// --reload". After them the service has to be reloaded by hand, and [Verify] says so.
//
// Like the hook it does not fail where a family cannot be loaded: the journal says so.
//
// The error is that of Validate.
func (s Set) Unit() (Output, error) {
	if err := s.Validate(); err != nil {
		return Output{}, err
	}
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(unitHead, "NAME", s.Name))
	for line := range strings.Lines(s.script()) {
		if line != "\n" { // an empty text would clear what is before it
			b.WriteString("StandardInputText=" + unitEscaper.Replace(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	b.WriteString("\n[Install]\nWantedBy=multi-user.target " + firewalls + "\n")
	return Output{Path: "/etc/systemd/system/" + chainPrefix + s.Name + ".service", Mode: 0o644, Data: []byte(b.String())}, nil
}

// unitEscaper writes a line for StandardInputText=, which reads escapes as C does
// and specifiers, and drops blanks at the ends of a line: systemd.exec(5).
var unitEscaper = strings.NewReplacer(`\`, `\\`, "%", "%%", "\t", `\t`)

// firewalls are Debian's services that load rules.
const firewalls = "nftables.service netfilter-persistent.service ufw.service firewalld.service"

const unitHead = `# Made by rehost.
[Unit]
Description=Port forwards "NAME"
Documentation=man:iptables-restore(8)
# The default dependencies would make a loop with those of cloud-init.service, which
# is before sysinit.target and after the network.
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
# These empty the tables that the forwards are in.
After=local-fs.target systemd-modules-load.service ` + firewalls + `
PartOf=` + firewalls + `
ReloadPropagatedFrom=` + firewalls + `

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -s start
ExecReload=/bin/sh -s start
ExecStop=/bin/sh -s stop
StandardInput=data
`

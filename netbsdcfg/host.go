package netbsdcfg

import "context"

// A Host is the network configuration of a machine.
type Host struct {
	RC              *RC
	Ifconfig        map[string]*Ifconfig
	Modules         *Modules
	Sysctl          *Sysctl
	MyGate, MyGate6 *MyGate
}

// OpenHost reads the files below root.
func OpenHost(root string) (*Host, error) { return nil, nil }

// Check reports the problems of all files, and those that span them.
func (h *Host) Check() Problems { return nil }

// Save saves all files that changed.
func (h *Host) Save(ctx context.Context) error { return nil }

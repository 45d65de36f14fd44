package netbsdcfg

// Check reports what rc.d/network would lose or misread.
func (f *Ifconfig) Check() Problems { return nil }

package natfwd

// Validate is written next.
func (s Set) Validate() error { return nil }

var _, _ = Set.chains, hooks

package natfwd

type flow struct{}

func (f flow) String() string { return "" }

func changedFlows(removed, added []rule) []flow { return nil }

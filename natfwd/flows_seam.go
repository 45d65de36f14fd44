package natfwd

type flow struct{}

func (f flow) String() string { return "" }

func changedFlows(before, after state) []flow { return nil }

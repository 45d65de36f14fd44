package natfwd

func changedFlows(before, after state) []flow { return nil }

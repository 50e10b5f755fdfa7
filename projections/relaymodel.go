package projections

// RelayModel has no rows: its checkpoint says how far a relay has published the log, where messages and checkpoint
// cannot be stored together.
func RelayModel() Model[struct{}] { return Model[struct{}]{Name: "relay", Version: 1} }

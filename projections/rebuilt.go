package projections

import "github.com/cinelog/cinelog/domain"

// Rebuilt is the outcome of a rebuild.
type Rebuilt struct {
	Position  domain.Position // where the new generation stood when it was compared
	Rows      int
	Hash      string
	LiveHash  string   // of the generation that was in use, at the same position; empty when New
	Different []string // keys whose rows differ between the two, the first few; empty when none does
	New       bool     // the generation that was in use had not begun: there was nothing to compare with
}

// Equal says that the read model in use is what the log gives, as far as it had come.
func (r Rebuilt) Equal() bool { return r.New || r.Hash == r.LiveHash }

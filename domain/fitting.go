package domain

import (
	"fmt"
	"math"
)

const (
	// headroom is how many times the average the peak may be, after Apple's HLS authoring rule for video on demand.
	headroom = 2
	// leastCap and mostCap bound the cap, as parts of the nominal rate: there may be harder scenes than those that were
	// looked at, and a network is still to carry what a rung is for.
	leastCap, mostCap = 0.5, 1.5
	// enough is the rate, in bits per second, below which no rung is made coarser: every network carries it.
	enough = 150_000
	// mostCoarser is by how much CRF a rung is made coarser at most, in steps of coarserBy; halving is the CRF that halves
	// what the encoder takes.
	mostCoarser, coarserBy, halving = 6, 0.5, 6
)

// fitting is how a rung is encoded to have its place among the others, by what its pictures take in AVC.
type fitting struct {
	coarser        float64 // CRF
	takes, average float64 // bits per second: as the profile says, and so
}

// fit goes down the rungs. A rung is for the networks that carry its nominal rate and not that of the one above it: so where
// pictures need no more than a part of the nominal rate in one size, smaller sizes get no larger part, and all keep their
// distance.
func fit(rungs []Rung, forecasts []RungForecast) []fitting {
	fits := make([]fitting, len(rungs))
	part := 1.0
	for i, r := range rungs {
		takes, nominal := float64(forecasts[i].BitRate), float64(r.MaxRate)
		part = min(part, takes/nominal)
		target := min(takes, max(enough, part*nominal))
		steps := math.Round(halving * math.Log2(takes/target) / coarserBy)
		coarser := min(mostCoarser, coarserBy*steps)
		fits[i] = fitting{coarser: coarser, takes: takes, average: takes * math.Exp2(-coarser/halving)}
	}
	return fits
}

// apply sets a rung's quality and cap. Below the lowest there is none for a network that cannot carry it.
func (f fitting) apply(r Rung, lowest bool) Rung {
	nominal, most, thrift := float64(r.MaxRate), mostCap, r.Codec.thrift()
	if lowest {
		most = 1
	}
	r.Coarser = f.coarser
	r.MaxRate = int(max(leastCap*nominal, min(most*nominal, headroom*f.average*thrift))) / 1000 * 1000
	r.Fit = fmt.Sprintf("takes about %d kbit/s of %d", int(f.takes*thrift)/1000, int(nominal)/1000)
	return r
}

package domain

import (
	"fmt"
	"math"
	"strings"
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

// fitted returns the plan with the rate and the quality of each rung set by what its pictures take. A rung is for the
// networks that carry its nominal rate and not that of the one above it: so where pictures need no more than a part of the
// nominal rate in one size, smaller sizes get no larger part, and all keep their distance.
func (p Plan) fitted(c Complexity) Plan {
	forecasts := make(map[string]float64, len(c.Rungs))
	for _, f := range c.Rungs {
		forecasts[f.Name] = float64(f.BitRate)
	}
	rungs := make([]Rung, 0, len(p.Rungs))
	part := map[Codec]float64{}
	lowest := ""
	if made := p.avc(); len(made) > 0 {
		lowest = made[len(made)-1].Name
	}
	for _, r := range p.Rungs {
		name := strings.TrimSuffix(r.Name, "-"+string(r.Codec))
		takes := forecasts[name] * r.Codec.thrift()
		if r.Remux || takes <= 0 {
			rungs = append(rungs, r)
			continue
		}
		nominal, most := float64(r.MaxRate), mostCap
		if name == lowest { // there is none below for a network that cannot carry it
			most = 1
		}
		if part[r.Codec] == 0 {
			part[r.Codec] = 1
		}
		part[r.Codec] = min(part[r.Codec], takes/nominal)
		target := min(takes, max(enough*r.Codec.thrift(), part[r.Codec]*nominal))
		steps := math.Round(halving * math.Log2(takes/target) / coarserBy)
		r.Coarser = min(mostCoarser, coarserBy*steps)
		average := takes * math.Exp2(-r.Coarser/halving)
		r.MaxRate = int(max(leastCap*nominal, min(most*nominal, headroom*average))) / 1000 * 1000
		r.Fit = fmt.Sprintf("takes about %d kbit/s of %d", int(takes)/1000, int(nominal)/1000)
		rungs = append(rungs, r)
	}
	p.Rungs = rungs
	return p
}

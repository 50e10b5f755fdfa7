package domain

import (
	"cmp"
	"fmt"
	"strings"
)

// NeedsCaptions says whether the captions in an attempt's source are still to be taken out.
func (v Video) NeedsCaptions(attempt int) error {
	switch {
	case !v.Exists(), v.Attempt != attempt, v.Run.Failure != nil, v.Run.Source == nil, len(v.Run.Source.Captions) == 0:
		return fmt.Errorf("%w: attempt %d has no captions to take out", ErrSuperseded, attempt)
	case v.Run.Captioned:
		return fmt.Errorf("%w: attempt %d has its captions", ErrSuperseded, attempt)
	}
	return nil
}

// RecordCaptions takes the captions found in a source, all at once.
func (v Video) RecordCaptions(attempt int, tracks []CaptionAdded) ([]Event, error) {
	if err := v.NeedsCaptions(attempt); err != nil {
		return nil, err
	}
	events := make([]Event, len(tracks))
	taken := map[string]int{}
	for i, t := range tracks {
		t.Attempt, t.Language = attempt, cmp.Or(t.Language, "und")
		t.Name = strings.ToLower(t.Language)
		if taken[t.Name]++; taken[t.Name] > 1 {
			t.Name = fmt.Sprintf("%s-%d", t.Name, taken[t.Name])
		}
		events[i] = t
	}
	return events, nil
}

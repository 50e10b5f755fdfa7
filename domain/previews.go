package domain

import "fmt"

// NeedsPreviews says whether the storyboard and the moving preview of an attempt are still to be made: it is complete,
// no newer one has begun, and they are not there.
func (v Video) NeedsPreviews(attempt int) error {
	switch {
	case !v.Exists(), v.Attempt != attempt, v.Serving != attempt, v.Run.Plan == nil:
		return fmt.Errorf("%w: attempt %d is not the one to preview", ErrSuperseded, attempt)
	case v.Run.Previewed:
		return fmt.Errorf("%w: attempt %d has its previews", ErrSuperseded, attempt)
	}
	return nil
}

// RecordPreviews takes the storyboard and, where they could be made, the moving preview and a better poster.
func (v Video) RecordPreviews(s StoryboardProduced, p *PreviewProduced, poster *PosterProduced) ([]Event, error) {
	if err := v.NeedsPreviews(s.Attempt); err != nil {
		return nil, err
	}
	events := []Event{s}
	if p != nil {
		events = append(events, *p)
	}
	if poster != nil {
		events = append(events, *poster)
	}
	return events, nil
}

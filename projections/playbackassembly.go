package projections

import "github.com/cinelog/cinelog/domain"

// assembly joins the rows of one attempt, which come in the order of their keys, to what can be played.
type assembly struct {
	attempt int
	plan    *PlaybackPlan
	chunks  []*PlaybackChunk // from 0 on, without a gap
	audio   []*PlaybackAudioPart
	poster  *domain.Blob
}

func (a *assembly) add(row PlaybackRow) {
	switch {
	case row.Plan != nil && row.Plan.Attempt == a.attempt:
		a.plan = row.Plan
	case row.Chunk != nil && row.Chunk.Attempt == a.attempt && row.Chunk.Chunk == len(a.chunks):
		a.chunks = append(a.chunks, row.Chunk)
	case row.Audio != nil && row.Audio.Attempt == a.attempt && row.Audio.Part == len(a.audio):
		a.audio = append(a.audio, row.Audio)
	case row.Poster != nil && row.Poster.Attempt == a.attempt:
		a.poster = &row.Poster.Image
	}
}

// playback returns false as long as something that the multivariant playlist must list has no segment: a player reads
// that playlist once, so audio that came later would never be heard.
func (a *assembly) playback() (Playback, bool) {
	if a.plan == nil || len(a.chunks) == 0 || (a.plan.Audio != nil && len(a.audio) == 0) {
		return Playback{}, false
	}
	p := Playback{Duration: a.plan.Duration, Poster: a.poster}
	for i, rung := range a.plan.Rungs {
		r := PlaybackRendition{
			Name: rung.Name, Width: rung.Width, Height: rung.Height, FrameRate: a.plan.FrameRate, MaxRate: rung.MaxRate,
		}
		for _, c := range a.chunks {
			if i >= len(c.Renditions) {
				return Playback{}, false
			}
			if r.Init.Key == "" {
				r.Init, r.Codecs = c.Renditions[i].Init, c.Renditions[i].Codecs
			}
			r.Segments = append(r.Segments, c.Renditions[i].Segments...)
		}
		p.Renditions = append(p.Renditions, r)
	}
	if a.plan.Audio != nil {
		p.Audio = &PlaybackAudio{
			Language: a.plan.Audio.Language, Channels: a.plan.Audio.Channels, BitRate: a.plan.Audio.BitRate,
			Codecs: a.audio[0].Codecs, Init: a.audio[0].Init,
		}
		for _, part := range a.audio {
			p.Audio.Segments = append(p.Audio.Segments, part.Segments...)
		}
	}
	return p, len(p.Audio.segments()) > 0 || a.plan.Audio == nil
}

func (a *PlaybackAudio) segments() []domain.Segment {
	if a == nil {
		return nil
	}
	return a.Segments
}

package domain

import (
	"maps"
	"slices"
)

// Earlier is what attempts before the newest one have made of the same source, in just the way in which that one would make
// it: it need not be made again. The newest attempt records it as its own, under its own number, with the blobs that are
// there. Whether those are still as they were the log cannot say.
type Earlier struct {
	chunks map[int]map[string]RenditionChunk // by chunk, by rung
	poster *PosterProduced
	remux  []SourceRemuxed     // all parts, or none
	audio  [][]AudioTranscoded // of each of the plan's AudioTracks, all parts or none
}

// made is what one attempt was to make, and what it made.
type made struct {
	sha    string // of its source
	source *SourceInfo
	plan   *Plan
	chunks []ChunkTranscoded
	remux  []SourceRemuxed
	audio  map[int][]AudioTranscoded
	poster *PosterProduced
}

// FindEarlier looks through a stream, oldest event first, for what the newest attempt can take over. Nothing where that
// attempt is to make everything itself. Older attempts than the one that is served are not looked at: their media may go
// at any moment.
func FindEarlier(events []Recorded) Earlier {
	v := LoadVideo(events)
	if !v.Run.TakesOver || v.Run.Plan == nil || v.Run.Source == nil || v.Source == nil {
		return Earlier{}
	}
	plan := *v.Run.Plan
	e := Earlier{chunks: map[int]map[string]RenditionChunk{}, audio: make([][]AudioTranscoded, len(plan.AudioTracks()))}
	attempts := whatWasMade(events)
	for _, attempt := range slices.Sorted(maps.Keys(attempts)) {
		m := attempts[attempt]
		if attempt < v.Serving || attempt >= v.Attempt || m.sha != v.Source.Source.SHA256 || m.source == nil || m.plan == nil ||
			!m.source.looksLike(*v.Run.Source) || !m.plan.sameGrid(plan) {
			continue
		}
		e.takeChunks(m, plan)
		e.takeTracks(m, *v.Run.Source, plan)
		if m.poster != nil {
			e.poster = m.poster
		}
	}
	return e
}

func (e *Earlier) takeChunks(m *made, plan Plan) {
	if m.plan.Profile != plan.Profile {
		return
	}
	for _, c := range m.chunks {
		if c.Chunk >= len(plan.Chunks) || c.Chunk >= len(m.plan.Chunks) || plan.Chunks[c.Chunk] != m.plan.Chunks[c.Chunk] {
			continue
		}
		for _, r := range c.Renditions {
			same := func(rung Rung) bool { return rung.Name == r.Name && slices.Contains(m.plan.Encoded(), rung) }
			if !slices.ContainsFunc(plan.Encoded(), same) {
				continue
			}
			if e.chunks[c.Chunk] == nil {
				e.chunks[c.Chunk] = map[string]RenditionChunk{}
			}
			e.chunks[c.Chunk][r.Name] = r
		}
	}
}

func (e *Earlier) takeTracks(m *made, source SourceInfo, plan Plan) {
	if a, b := m.plan.Remuxed(), plan.Remuxed(); a != nil && b != nil && *a == *b && len(m.remux) > 0 && m.remux[len(m.remux)-1].Final {
		e.remux = m.remux
	}
	tracks, made := plan.AudioTracks(), m.plan.AudioTracks()
	for i := range tracks {
		parts := m.audio[i]
		if i < len(made) && tracks[i] == made[i] && i < len(m.source.AudioTracks()) && i < len(source.AudioTracks()) &&
			source.AudioTracks()[i].Equal(m.source.AudioTracks()[i]) && len(parts) > 0 && parts[len(parts)-1].Final {
			e.audio[i] = parts
		}
	}
}

func whatWasMade(events []Recorded) map[int]*made {
	attempts, sha := map[int]*made{}, ""
	at := func(attempt int) *made {
		if attempts[attempt] == nil {
			attempts[attempt] = &made{sha: sha, audio: map[int][]AudioTranscoded{}}
		}
		return attempts[attempt]
	}
	for _, r := range events {
		switch e := r.Event.(type) { //nolint:gochecksumtype // the others tell nothing of what was made
		case VideoUploaded:
			sha = e.Source.SHA256
		case SourceInspected:
			at(e.Attempt).source = &e.Source
		case TranscodePlanned:
			at(e.Attempt).plan = &e.Plan
		case ChunkTranscoded:
			m := at(e.Attempt)
			m.chunks = append(m.chunks, e)
		case SourceRemuxed:
			m := at(e.Attempt)
			m.remux = append(m.remux, e)
		case AudioTranscoded:
			m := at(e.Attempt)
			m.audio[e.Track] = append(m.audio[e.Track], e)
		case PosterProduced:
			at(e.Attempt).poster = &e
		default:
		}
	}
	return attempts
}

// Chunk returns the renditions of a chunk that are there, in the plan's order.
func (e Earlier) Chunk(plan Plan, chunk int) (there []RenditionChunk) {
	for _, rung := range plan.Encoded() {
		if r, ok := e.chunks[chunk][rung.Name]; ok {
			there = append(there, r)
		}
	}
	return there
}

// Poster returns the poster as the attempt's own; nil when there is none.
func (e Earlier) Poster(attempt int) *PosterProduced {
	if e.poster == nil {
		return nil
	}
	p := *e.poster
	p.Attempt = attempt
	return &p
}

// Remux returns all parts of the remuxed source; none when it is not complete.
func (e Earlier) Remux() []SourceRemuxed { return e.remux }

// Audio returns all parts of a track of sound; none when it is not complete.
func (e Earlier) Audio(track int) []AudioTranscoded {
	if track >= len(e.audio) {
		return nil
	}
	return e.audio[track]
}

// looksLike says whether the same is encoded of two sources' pictures, if those are the same.
func (s SourceInfo) looksLike(o SourceInfo) bool {
	return s.BeginsLike(o) && s.Frames == o.Frames && s.NoSeek == o.NoSeek
}

// sameGrid says whether segments and keyframes are at the same places.
func (p Plan) sameGrid(o Plan) bool {
	return p.FrameRate == o.FrameRate && p.Frames == o.Frames && p.GOP == o.GOP && p.SegmentFrames == o.SegmentFrames &&
		p.FirstFrames == o.FirstFrames && slices.Equal(p.Starts, o.Starts)
}

// Only returns the plan with those of the rungs that are encoded and that want says yes to.
func (p Plan) Only(want func(Rung) bool) Plan {
	p.Rungs = slices.DeleteFunc(slices.Clone(p.Rungs), func(r Rung) bool { return !r.Remux && !want(r) })
	return p
}

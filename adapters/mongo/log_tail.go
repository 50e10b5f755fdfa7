package mongo

import (
	"slices"
	"sort"
	"sync"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/cinelog/cinelog/domain"
)

// tail is what this process remembers of the log: its newest commits, as many as go into some memory, in order and
// without a gap up to the end, as of the last look at the server. Everybody who reads the newest events, and the writer
// too, shares it, so that each commit is fetched and decoded once in a process. What is in the log never changes: so
// what is remembered is right for ever, and only where it ends must be asked for. Texts that are erased are the one
// exception: the commit that records it has all before it forgotten.
type tail struct {
	commits *mongo.Collection
	bound   int // bytes of commits that are kept, about

	mu       sync.Mutex
	looking  bool  // somebody is asking the server
	next     *look // the look that has not begun; nil when nobody waits for one
	known    bool  // all below says something
	end      domain.ChainEnd
	from     domain.Position // of the first event that is kept; the one after the end when none is
	kept     []*keptCommit
	size     int
	ids      map[string]*keptCommit
	streams  map[string][]*keptCommit
	versions map[string]int // of streams, as of the end or later; not of all
}

const (
	// tailBytes bounds the memory for the newest commits.
	tailBytes = 16 << 20
	// maxVersions is how many streams' versions are remembered, beside those of the commits that are kept.
	maxVersions = 50_000
	// keptOverhead is what a commit that is kept takes beside its text.
	keptOverhead = 500
)

func newTail(commits *mongo.Collection, bound int) *tail {
	t := &tail{commits: commits, bound: bound}
	t.reset()
	return t
}

// keptCommit is a commit in memory. Its events are decoded when somebody reads them for the first time; all who read
// them share what they point to, and nobody may change that.
type keptCommit struct {
	doc  *commitDoc
	size int

	once    sync.Once
	decoded []domain.Recorded
	err     error
}

// events returns the events that keep allows.
func (c *keptCommit) events(keep func(domain.Recorded) bool) ([]domain.Recorded, error) {
	c.once.Do(func() {
		if c.decoded, c.err = c.doc.decode(func(domain.Recorded) bool { return true }); c.err == nil {
			c.doc.Events = nil // nobody needs the text again
		}
	})
	if c.err != nil {
		return c.doc.decode(keep) // perhaps without what cannot be decoded
	}
	first := slices.IndexFunc(c.decoded, keep)
	if first < 0 {
		return nil, nil
	}
	return c.decoded[first:len(c.decoded):len(c.decoded)], nil
}

// reset forgets everything.
func (t *tail) reset() {
	t.known, t.end, t.from, t.kept, t.size = false, domain.ChainEnd{}, 1, nil, 0
	t.ids, t.streams, t.versions = map[string]*keptCommit{}, map[string][]*keptCommit{}, map[string]int{}
}

// put adds a commit that is in the log for good. One that is remembered already, since it was read as well, changes
// nothing. It returns false when there is a gap before it.
func (t *tail) put(doc *commitDoc) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(doc)
}

func (t *tail) add(doc *commitDoc) bool {
	if doc.First != t.end.Position+1 {
		return doc.First <= t.end.Position
	}
	c := &keptCommit{doc: doc, size: doc.size() + keptOverhead}
	t.end = domain.ChainEnd{Position: doc.Last, Hash: doc.Hash}
	t.kept, t.size = append(t.kept, c), t.size+c.size
	t.ids[doc.ID] = c
	t.streams[doc.Stream] = append(t.streams[doc.Stream], c)
	t.learn(doc.Stream, doc.Next-1)
	for t.size > t.bound || len(t.kept) > 1 && doc.erases() {
		t.dropOldest()
	}
	return true
}

// erases says that texts of events before this commit are erased, or about to be: nothing before it is kept, and it is not
// fetched again.
func (c *commitDoc) erases() bool {
	return slices.ContainsFunc(c.Events, func(e eventDoc) bool { return e.Type == domain.EventType(domain.VideoErased{}) })
}

func (t *tail) dropOldest() {
	c := t.kept[0]
	t.kept[0] = nil
	t.kept, t.size, t.from = t.kept[1:], t.size-c.size, c.doc.Last+1
	delete(t.ids, c.doc.ID)
	if of := t.streams[c.doc.Stream]; len(of) > 1 {
		of[0] = nil
		t.streams[c.doc.Stream] = of[1:]
	} else {
		delete(t.streams, c.doc.Stream)
	}
}

// learn remembers a stream's version.
func (t *tail) learn(stream string, version int) {
	if len(t.versions) >= maxVersions {
		clear(t.versions)
	}
	t.versions[stream] = max(t.versions[stream], version)
}

// whole says that all of the log is kept.
func (t *tail) whole() bool { return t.known && t.from == 1 }

// version returns a stream's version as of the end or later, if it is known.
func (t *tail) version(stream string) (version int, ok bool) {
	if version, ok = t.versions[stream]; ok {
		return version, true
	}
	if of := t.streams[stream]; len(of) > 0 {
		return of[len(of)-1].doc.Next - 1, true
	}
	return 0, t.whole()
}

// after returns the commits with the first events after a position, up to limit events. ok is false when some of these
// may not be kept.
func (t *tail) after(position domain.Position, limit int) (found []*keptCommit, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known || position+1 < t.from {
		return nil, false
	}
	first := sort.Search(len(t.kept), func(i int) bool { return t.kept[i].doc.Last > position })
	end := first
	for end < len(t.kept) && (end == first || t.kept[end].doc.First <= position+domain.Position(limit)) {
		end++
	}
	return slices.Clone(t.kept[first:end]), true
}

// stream returns the commits with a stream's events after a version. ok is false when some of these may not be kept.
func (t *tail) stream(id string, version int) (found []*keptCommit, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.streams[id]
	if !t.whole() && (len(of) == 0 || of[0].doc.Version > version+1) {
		return nil, false
	}
	first := sort.Search(len(of), func(i int) bool { return of[i].doc.Next-1 > version })
	return slices.Clone(of[first:]), true
}

// commit returns a commit by its id; nil when it is not kept. whole says that it is nowhere else either.
func (t *tail) commit(id string) (found *keptCommit, whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ids[id], t.whole()
}

// last returns where the log ends, as far as is known.
func (t *tail) last() (end domain.ChainEnd, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.end, t.known
}

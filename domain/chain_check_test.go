package domain_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// chain returns a log of six commits of two events: of streams a and b in turn, positions 1 to 12.
func chain(t *testing.T) []domain.StoredCommit {
	t.Helper()
	var log []domain.StoredCommit
	var end domain.ChainEnd
	for i := range 6 {
		s := domain.StoredCommit{First: end.Position + 1, Commit: domain.Commit{
			ID: strings.Repeat("i", i+1), Stream: string("ab"[i%2]), Expected: i / 2 * 2, Time: time.UnixMicro(int64(i)),
			Meta: domain.Meta{Actor: "somebody"},
		}}
		var err error
		s.Events, err = domain.Commit{Events: []domain.Event{
			domain.TranscodeRequested{Attempt: i + 1}, domain.VideoPublished{},
		}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		s.Hash = domain.ChainHash(end.Hash, s.First, s.Commit, s.Events)
		if end, err = end.Follow(s); err != nil {
			t.Fatal(err)
		}
		log = append(log, s)
	}
	return log
}

func check(log []domain.StoredCommit) []string {
	var c domain.ChainCheck
	for _, s := range log {
		c.Follow(s, s.Last(), s.Commit.Expected+len(s.Events))
	}
	return c.Findings()
}

func TestChainCheckFindsEveryChange(t *testing.T) {
	t.Parallel()
	const hash = "the hash does not fit to the content and the commit before"
	change := func(do func(s *domain.StoredCommit)) func([]domain.StoredCommit) []domain.StoredCommit {
		return func(log []domain.StoredCommit) []domain.StoredCommit {
			do(&log[2])
			return log
		}
	}
	for name, c := range map[string]struct {
		change func([]domain.StoredCommit) []domain.StoredCommit
		want   []string
	}{
		"nothing": {change(func(*domain.StoredCommit) {}), nil},
		"data": {
			change(func(s *domain.StoredCommit) { s.Events[0].Data = []byte(`{"attempt":9}`) }),
			[]string{"commit at 5: " + hash},
		},
		"a type": {
			change(func(s *domain.StoredCommit) { s.Events[1].Type = domain.EventType(domain.VideoUnpublished{}) }),
			[]string{"commit at 5: " + hash},
		},
		"an unknown type": {
			change(func(s *domain.StoredCommit) { s.Events[1].Type = "video.sung.v1" }),
			[]string{"commit at 5: decode the event at 6: ", "commit at 5: " + hash},
		},
		"a time":       {change(func(s *domain.StoredCommit) { s.Commit.Time = s.Commit.Time.Add(time.Microsecond) }), []string{"commit at 5: " + hash}},
		"an id":        {change(func(s *domain.StoredCommit) { s.Commit.ID = "other" }), []string{"commit at 5: " + hash}},
		"an actor":     {change(func(s *domain.StoredCommit) { s.Commit.Meta.Actor = "other" }), []string{"commit at 5: " + hash}},
		"a request":    {change(func(s *domain.StoredCommit) { s.Commit.Meta.Request = "other" }), []string{"commit at 5: " + hash}},
		"a hash":       {change(func(s *domain.StoredCommit) { s.Hash[0] ^= 1 }), []string{"commit at 5: " + hash, "commit at 7: " + hash}},
		"no hash":      {change(func(s *domain.StoredCommit) { s.Hash = nil }), []string{"commit at 5: " + hash, "commit at 7: " + hash}},
		"text to text": {change(func(s *domain.StoredCommit) { s.Commit.ID, s.Commit.Stream = "ii", "ia" }), []string{"commit at 5: version 3 of stream ia, expected 1", "commit at 5: " + hash, "commit at 9: version 5 of stream a, expected 3"}},
		"an event removed": {
			change(func(s *domain.StoredCommit) { s.Events = s.Events[:1] }),
			[]string{"commit at 5: " + hash, "commit at 7: expected position 6", "commit at 9: version 5 of stream a, expected 4"},
		},
		"all events removed": {
			change(func(s *domain.StoredCommit) { s.Events = nil }),
			[]string{
				"commit at 5: 0 events, but it says that it ends at 4, version 2", "commit at 5: " + hash,
				"commit at 7: expected position 6", "commit at 9: version 5 of stream a, expected 3",
			},
		},
		"events swapped": {change(func(s *domain.StoredCommit) { slices.Reverse(s.Events) }), []string{"commit at 5: " + hash}},
		"a commit removed": {
			func(log []domain.StoredCommit) []domain.StoredCommit { return slices.Delete(log, 2, 3) },
			[]string{"commit at 7: expected position 5", "commit at 7: " + hash, "commit at 9: version 5 of stream a, expected 3"},
		},
		"the first commit removed": {
			func(log []domain.StoredCommit) []domain.StoredCommit { return log[1:] },
			[]string{"commit at 3: expected position 1", "commit at 3: " + hash, "commit at 5: version 3 of stream a, expected 1"},
		},
		"a commit added": {
			func(log []domain.StoredCommit) []domain.StoredCommit { return slices.Insert(log, 3, log[2]) },
			[]string{"commit at 5: expected position 7", "commit at 5: version 3 of stream a, expected 5", "commit at 5: " + hash},
		},
		"commits swapped": {
			func(log []domain.StoredCommit) []domain.StoredCommit {
				log[2], log[3] = log[3], log[2]
				return log
			},
			[]string{
				"commit at 7: expected position 5", "commit at 7: " + hash, "commit at 5: expected position 9", "commit at 5: " + hash,
				"commit at 9: expected position 7", "commit at 9: " + hash,
			},
		},
		"commits swapped with their positions": {
			func(log []domain.StoredCommit) []domain.StoredCommit {
				log[2], log[3] = log[3], log[2]
				log[2].First, log[3].First = log[3].First, log[2].First
				return log
			},
			[]string{"commit at 5: " + hash, "commit at 7: " + hash, "commit at 9: " + hash},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := check(c.change(chain(t)))
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// What a log keeps beside the events must fit to them.
func TestChainCheckFindsAWrongEnd(t *testing.T) {
	t.Parallel()
	log := chain(t)
	for name, end := range map[string]struct {
		last    domain.Position
		version int
	}{"the position": {3, 2}, "the version": {2, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c domain.ChainCheck
			c.Follow(log[0], end.last, end.version, "the row is torn")
			if got := c.Findings(); len(got) != 2 || got[0] != "commit at 1: the row is torn" ||
				!strings.HasPrefix(got[1], "commit at 1: 2 events, but it says that it ends at") {
				t.Errorf("found %q", got)
			}
		})
	}
}

func TestChainCheckGivesUp(t *testing.T) {
	t.Parallel()
	var c domain.ChainCheck
	s := chain(t)[0]
	for n := 0; !c.Full(); n++ {
		if n > domain.MaxFindings {
			t.Fatal("it goes on")
		}
		c.Follow(s, s.Last(), 2)
		c.Follow(s, s.Last(), 2)
	}
	if n := len(c.Findings()); n != domain.MaxFindings {
		t.Errorf("%d findings", n)
	}
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/projections"
)

// justBefore has a relay publish whatever event it is given.
type justBefore struct{ event domain.Position }

func (j justBefore) LoadCheckpoint(context.Context, string) (domain.Position, error) {
	return j.event - 1, nil
}

func (justBefore) SaveCheckpoint(context.Context, string, domain.Position) error { return nil }

// sentTasks counts tasks.
type sentTasks struct {
	mu   sync.Mutex
	sent map[commands.Task]int
}

func (s *sentTasks) Send(_ context.Context, tasks ...commands.Task) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tasks {
		s.sent[t]++
	}
	return nil
}

// distinct are the tasks: the same one again changes nothing.
func (s *sentTasks) distinct() map[commands.Task]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[commands.Task]bool{}
	for t := range s.sent {
		all[t] = true
	}
	return all
}

// TestMessagesFiveTimesInAnyOrder sends every event five times, out of order by up to a hundred places, through the queues to
// the figures and to the policy, and to that also what it leads to. Then the figures are those of the log, and the policy has
// done what it does when it hears of each event once, in order.
func TestMessagesFiveTimesInAnyOrder(t *testing.T) {
	t.Parallel()
	o := places{Data: t.TempDir()}.opener(slog.New(slog.DiscardHandler))
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	log, _, err := o.openLog(t.Context())
	must(t, err)
	queues, err := o.openBus(t.Context())
	must(t, err)
	blobs, err := o.openBlobs(t.Context())
	must(t, err)
	views, err := o.openViews(t.Context())
	must(t, err)
	random := rand.New(rand.NewPCG(5, 100))
	policy := func() (*commands.Transcoding, *sentTasks) {
		tasks := &sentTasks{sent: map[commands.Task]int{}}
		return &commands.Transcoding{Service: &commands.Service{Log: log, Blobs: blobs, Now: time.Now}, Tasks: tasks}, tasks
	}
	shuffled, tasks := policy()
	const videos = 30
	wantPlans := writeLives(t, log, random, videos)

	ctx, cancel := context.WithCancel(t.Context())
	var consuming sync.WaitGroup
	handled := map[string]chan domain.Position{groupAnalytics: make(chan domain.Position), groupTranscoding: make(chan domain.Position)}
	for group, handle := range map[string]func(context.Context, domain.Recorded) error{
		groupAnalytics: func(ctx context.Context, e domain.Recorded) error {
			return projections.RecordEvents(ctx, views.figures, e)
		},
		groupTranscoding: shuffled.Handle,
	} {
		consuming.Go(func() {
			c := messaging.Consumer{Subscriber: queues.Subscriber(group), Log: slog.New(slog.DiscardHandler)}
			_ = messaging.ConsumeEvents(ctx, c, log, func(ctx context.Context, e domain.Recorded) error {
				err := handle(ctx, e)
				if err == nil {
					select {
					case handled[group] <- e.Position:
					case <-ctx.Done():
					}
				}
				return err
			})
		})
	}
	defer consuming.Wait()
	defer cancel()
	pub, err := queues.publisher()
	must(t, err)
	for after := domain.Position(0); ; { // and then what the policy has appended
		events, err := log.ReadAfter(t.Context(), after, 10_000)
		must(t, err)
		if len(events) == 0 {
			break
		}
		after = events[len(events)-1].Position
		var publishing sync.WaitGroup
		publishing.Go(func() {
			for _, e := range fiveTimes(random, events) {
				if err := messaging.NewRelay("test", pub, justBefore{e.Position}).Apply(t.Context(), []domain.Recorded{e}); err != nil {
					t.Error(err)
				}
			}
		})
		for left := 2 * copies * len(events); left > 0; left-- {
			select {
			case <-handled[groupAnalytics]:
			case <-handled[groupTranscoding]:
			case <-time.After(time.Minute):
				t.Fatalf("%d messages have not come", left)
			}
		}
		publishing.Wait()
	}

	if done, err := views.figures.Verify(t.Context(), log, nil); err != nil || done.New || !done.Equal() || done.Rows < videos {
		t.Errorf("the figures are not those of the log: %+v, %v", done, err)
	}
	inOrder, want := policy()
	plans := map[string]int{}
	events, err := log.ReadAfter(t.Context(), 0, 10_000)
	must(t, err)
	for _, e := range events {
		must(t, inOrder.Handle(t.Context(), e))
		if _, planned := e.Event.(domain.TranscodePlanned); planned {
			plans[e.Stream]++
		}
	}
	if !maps.Equal(plans, wantPlans) {
		t.Errorf("planned %v, want %v", plans, wantPlans)
	}
	if head, err := log.Head(t.Context()); err != nil || head != events[len(events)-1].Position {
		t.Errorf("in order the policy finds %d more to say: %v", head-events[len(events)-1].Position, err)
	}
	if got, want := tasks.distinct(), want.distinct(); !maps.Equal(got, want) || len(got) < videos/2 {
		t.Errorf("tasks %v, want %v", got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const copies, window = 5, 100

// fiveTimes are the events, each five times, and none of them farther from its place than the window.
func fiveTimes(random *rand.Rand, events []domain.Recorded) (all []domain.Recorded) {
	for _, e := range events {
		for range copies {
			all = append(all, e)
		}
	}
	for from := 0; from < len(all); from += window {
		part := all[from:min(from+window, len(all))]
		random.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	return all
}

// writeLives puts videos into the log, side by side, of which some are rejected, fail or are deleted, and returns those that
// are to be planned.
func writeLives(t *testing.T, log eventLog, random *rand.Rand, videos int) (planned map[string]int) {
	t.Helper()
	planned = map[string]int{}
	info := domain.SourceInfo{Width: 426, Height: 240, FrameRate: domain.Rational{Num: 25, Den: 1}, Frames: 150, Duration: 6}
	var lives [][]domain.Event
	for n := range videos {
		life := []domain.Event{
			domain.VideoCreated{Owner: "local", Details: domain.Details{Title: fmt.Sprint("video ", n), Visibility: domain.Public}, Publish: domain.PublishAuto, PlaybackPolicy: domain.PlaybackPublic},
			domain.VideoUploaded{Attempt: 1, Source: domain.Blob{Key: fmt.Sprint("sources/", n), Bytes: int64(n + 1)}},
		}
		switch n % 5 {
		case 0: // the look at it is still to come
		case 1:
			life = append(life, domain.SourceRejected{Attempt: 1, Failure: domain.Failure{Code: domain.NotAVideo}})
		case 2:
			life = append(life, domain.SourceInspected{Attempt: 1, Source: info}, domain.VideoDeleted{})
		case 3:
			life = append(life, domain.TranscodeFailed{Attempt: 1, Failure: domain.Failure{Code: domain.Internal}}, domain.TranscodeRequested{Attempt: 2}, domain.SourceInspected{Attempt: 2, Source: info})
		default:
			life = append(life, domain.SourceInspected{Attempt: 1, Source: info})
		}
		lives = append(lives, life)
	}
	ids, versions := make([]string, videos), make([]int, videos)
	for left := true; left; {
		left = false
		for _, n := range random.Perm(videos) {
			if ids[n] == "" {
				ids[n] = uuid.Must(uuid.NewV7()).String()
			}
			if versions[n] == len(lives[n]) {
				continue
			}
			left = true
			_, err := log.Append(t.Context(), domain.Commit{
				ID: uuid.NewString(), Stream: ids[n], Expected: versions[n], Time: time.Now(), Events: lives[n][versions[n] : versions[n]+1],
			})
			must(t, err)
			versions[n]++
		}
	}
	for n, id := range ids {
		if n%5 > 2 {
			planned[id] = 1
		}
	}
	return planned
}

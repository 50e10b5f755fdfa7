package commands_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

func TestAKeyGivesTheFirstResultAgain(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	create := func(actor, title, hash string) (commands.Result, error) {
		ctx := commands.WithMeta(t.Context(), domain.Meta{Actor: actor})
		return p.service.Create(ctx, commands.CreateVideo{
			Event: domain.VideoCreated{Details: domain.Details{Title: title}},
			Key:   commands.IdempotencyKey{Key: "k", RequestHash: hash},
		})
	}
	first, err := create("ann", "One", "h1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := create("ann", "One", "h1"); err != nil || again != first {
		t.Errorf("again: %+v, %v, want %+v", again, err, first)
	}
	if _, err := create("ann", "Two", "h2"); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "Idempotency-Key") {
		t.Errorf("another body: %v", err)
	}
	other, err := create("bob", "One", "h1")
	if err != nil || other.Video == first.Video {
		t.Errorf("another actor's same key: %+v, %v", other, err)
	}
	events := p.history(first.Video)
	if len(events) != 1 || events[0].Meta.Actor != "ann" || events[0].Meta.Request != "h1" {
		t.Errorf("history: %+v", events)
	}
}

func TestAKeyInWorkIsAConflict(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	key := commands.IdempotencyKey{Key: "k", RequestHash: "h"}
	reading, resume := make(chan struct{}), make(chan struct{})
	body := readerFunc(func([]byte) (int, error) {
		close(reading)
		<-resume
		return 0, io.EOF
	})
	done := make(chan error)
	go func() {
		_, err := p.service.UploadSource(t.Context(), commands.UploadSource{Video: id, Body: body, Key: key})
		done <- err
	}()
	<-reading
	_, err := p.service.UploadSource(t.Context(), commands.UploadSource{Video: id, Body: strings.NewReader(""), Key: key})
	if !errors.Is(err, domain.ErrConflict) {
		t.Errorf("while the first is in work: %v", err)
	}
	close(resume)
	if err := <-done; err != nil {
		t.Error(err)
	}
	again, err := p.service.UploadSource(t.Context(), commands.UploadSource{
		Video: id, Body: iotest.ErrReader(errors.New("the body was read")), Key: key,
	})
	if err != nil || again.Version != 2 {
		t.Errorf("afterwards: %+v, %v", again, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestKeysWorkWithoutArgumentsToo(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	ctx := commands.WithIdempotencyKey(t.Context(), commands.IdempotencyKey{Key: "k", RequestHash: "h"})
	first, err := p.service.Delete(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.service.Delete(ctx, id); err != nil || again != first {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := p.service.Delete(t.Context(), id); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("without the key: %v", err)
	}
}

func TestUploadsThatAreRefusedLeaveNothing(t *testing.T) {
	t.Parallel()
	unread := iotest.ErrReader(errors.New("the body was read"))
	digest := sha256.Sum256([]byte("something else"))
	cut := io.MultiReader(strings.NewReader("half of "), iotest.ErrReader(io.ErrUnexpectedEOF))
	for name, c := range map[string]struct {
		unknown, uploaded bool
		body              io.Reader
		sha256            []byte
		want              error
	}{
		"an unknown video":       {unknown: true, body: unread, want: domain.ErrNotFound},
		"a second source":        {uploaded: true, body: unread, want: domain.ErrNotAllowed},
		"too large":              {body: strings.NewReader("a source of 21 bytes."), want: domain.ErrTooLarge},
		"another digest":         {body: strings.NewReader("a source"), sha256: digest[:], want: domain.ErrInvalid},
		"a client that went off": {body: cut, want: io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPipeline(t)
			p.service.MaxSourceBytes = 20
			id := p.create(domain.PublishAuto)
			if c.uploaded {
				p.upload(id, "the first source")
			}
			before := len(p.history(id))
			target := id
			if c.unknown {
				target = "01900000-0000-7000-8000-000000000000"
			}
			_, err := p.service.UploadSource(t.Context(), commands.UploadSource{Video: target, Body: c.body, SHA256: c.sha256})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if got := len(p.history(id)); got != before {
				t.Errorf("%d events, want %d", got, before)
			}
			p.onlyLive(id)
		})
	}
}

func TestASourceOfTheLargestSizeIsTaken(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	p.service.MaxSourceBytes = 20
	id := p.create(domain.PublishAuto)
	p.upload(id, strings.Repeat("x", 20))
	p.onlyLive(id)
}

func TestChangesNameWhatTheySaw(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	title, signed, bad, one, seven := "Another", domain.PlaybackSigned, "", 1, 7
	r, err := p.service.ChangeDetails(t.Context(), commands.ChangeVideo{
		Video: id, IfVersion: &one, Title: &title, PlaybackPolicy: &signed, Tags: &[]string{"a", "a"},
	})
	if err != nil || r.Version != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	v := p.video(id)
	if v.Details.Title != title || v.PlaybackPolicy != signed || len(v.Details.Tags) != 1 {
		t.Errorf("%+v", v)
	}
	if _, err := p.service.ChangeDetails(t.Context(), commands.ChangeVideo{Video: id, IfVersion: &seven, Title: &title}); !errors.Is(err, domain.ErrStale) {
		t.Errorf("stale: %v", err)
	}
	if same, err := p.service.ChangeDetails(t.Context(), commands.ChangeVideo{Video: id, Title: &title}); err != nil || same != r {
		t.Errorf("nothing changed: %+v, %v", same, err)
	}
	worse := domain.PlaybackPolicy("open")
	_, err = p.service.ChangeDetails(t.Context(), commands.ChangeVideo{Video: id, Title: &bad, PlaybackPolicy: &worse})
	var invalid *domain.Invalid
	if !errors.As(err, &invalid) || len(invalid.Fields) != 2 {
		t.Errorf("two wrong fields: %v", err)
	}
}

func TestCommandsThatRaceAreAllKept(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	var woken sync.Map
	p.service.Appended = func(at domain.Position) { woken.Store(at, true) }
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			title := strings.Repeat("x", i+1)
			if _, err := p.service.ChangeDetails(t.Context(), commands.ChangeVideo{Video: id, Title: &title}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	events := p.history(id)
	if len(events) != 21 {
		t.Errorf("%d events, want 21", len(events))
	}
	for _, e := range events[1:] {
		if _, ok := woken.Load(e.Position); !ok {
			t.Errorf("nobody was woken for %d", e.Position)
		}
	}
}

// busyLog is an event log on which somebody else is always faster.
type busyLog struct{ commands.EventLog }

func (busyLog) Append(context.Context, domain.Commit) (domain.Appended, error) {
	return domain.Appended{}, domain.ErrConflict
}

func TestADecisionIsNotTakenForEver(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	id := p.create(domain.PublishAuto)
	p.service.Log = busyLog{p.log}
	if _, err := p.service.Delete(t.Context(), id); !errors.Is(err, domain.ErrConflict) {
		t.Errorf("got %v", err)
	}
}

func TestHistoryOfNothingIsNotFound(t *testing.T) {
	t.Parallel()
	p := newPipeline(t)
	if _, err := p.service.History(t.Context(), "01900000-0000-7000-8000-000000000000"); !errors.Is(err, domain.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

// beyond are the read models that have applied more than there is.
func (a *audit) beyond(ctx context.Context) (names []string, _ error) {
	at := map[string]domain.Position{}
	for _, name := range readModels() {
		s, err := a.views.model(name).Stored(ctx)
		if err != nil {
			return nil, err
		}
		at[name] = s.Position
	}
	head, err := a.log.Head(ctx) // afterwards: it may grow
	for _, name := range readModels() {
		if at[name] > head {
			names = append(names, name)
		}
	}
	return names, err
}

// checkCheckpoints finds whoever says that he has dealt with events that are not there: the log was restored from an older
// backup, or is another one.
func checkCheckpoints(ctx context.Context, a *audit) (found []finding, err error) {
	beyond, err := a.beyond(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range beyond {
		found = append(found, finding{
			What: name + " has applied more events than the log has", Hint: "rebuild it: cinelog replay " + name, mend: a.rebuilding(name),
		})
	}
	if a.bus != nil {
		published, err := a.bus.published(ctx)
		if err != nil {
			return nil, err
		}
		head, err := a.log.Head(ctx)
		if err != nil {
			return nil, err
		}
		if published > head {
			found = append(found, finding{
				What: fmt.Sprintf("the relay has published up to %d, the log ends at %d", published, head),
				Hint: "stop the servers, and have the next events published: --repair",
				mend: func(ctx context.Context, dry bool) (string, error) {
					if dry {
						return fmt.Sprintf("set the relay back to %d", head), nil
					}
					return fmt.Sprintf("set the relay back to %d", head), a.bus.setPublished(ctx, head)
				},
			})
		}
	}
	return found, nil
}

// checkMessages finds dead letters, which are for people to decide about, those that do not say why, and messages that
// nobody takes.
func checkMessages(ctx context.Context, a *audit) (found []finding, _ error) {
	letters, err := a.bus.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range letters {
		f := finding{
			What: fmt.Sprintf("%s: %s/%s gave up on a message after %d tries: %s", l.ID, l.Topic, l.Group, l.Attempts, firstLine(l.Reason)),
			Hint: "when the reason is mended: cinelog dlq redrive " + l.ID, Notice: true,
		}
		if l.Reason == "" || l.Attempts == 0 {
			f.What, f.Notice = l.ID+" is a dead letter without a reason or a try", false
		}
		found = append(found, f)
	}
	backlogs, err := a.bus.Backlogs(ctx)
	for _, b := range backlogs {
		if !b.Oldest.IsZero() && b.InWork == 0 && b.Oldest.Before(a.started.Add(-a.Grace)) {
			found = append(found, finding{
				What: fmt.Sprintf("%d messages wait for %s at %s, the oldest since %s", b.Ready+b.Delayed, b.Group, b.Topic, b.Oldest.Local().Format(time.DateTime)),
				Hint: "does a process run that has this role?", Notice: true,
			})
		}
	}
	return found, err
}

func firstLine(s string) string {
	for i, r := range s {
		if r == '\n' || i > 200 {
			return s[:i] + " …"
		}
	}
	return s
}

// checkInWork finds videos that nothing carries on: in work, and no event of theirs waits to be published, and no message
// about them is with the policy or the workers.
func checkInWork(ctx context.Context, a *audit, v *auditedVideo) (found []finding, _ error) {
	if !v.video.InWork() || v.events[len(v.events)-1].Time.After(a.started.Add(-a.Grace)) {
		return nil, nil
	}
	published, err := a.bus.published(ctx)
	if err != nil || published < v.video.Position {
		return nil, err
	}
	about, all, err := a.bus.underWay(ctx, groupTranscoding, groupWorkers)
	if err != nil || all || about[string(v.id)] {
		return nil, err
	}
	last, ok := carriesOn(v.events)
	if !ok {
		return nil, nil
	}
	return []finding{{
		What: fmt.Sprintf("video %s is in work at attempt %d, and no message is about it", v.id, v.video.Attempt),
		Hint: "its work was lost: --repair sends it again",
		mend: func(ctx context.Context, dry bool) (string, error) {
			what := fmt.Sprintf("publish event %d, %s, again", last.Position, domain.EventType(last.Event))
			if dry {
				return what, nil
			}
			pub, err := a.bus.publisher()
			if err == nil {
				err = messaging.PublishAgain(ctx, pub, last)
			}
			return "did " + what, err
		},
	}}, nil
}

// carriesOn is the newest event that leads to the rest of an attempt's work.
func carriesOn(events []domain.Recorded) (last domain.Recorded, ok bool) {
	for _, r := range events {
		switch r.Event.(type) { //nolint:gochecksumtype // no other event leads to work that an attempt needs
		case domain.VideoUploaded, domain.TranscodeRequested, domain.SourceInspected, domain.TranscodePlanned:
			last, ok = r, true
		}
	}
	return last, ok
}

// checkWebhooks finds deliveries that are long due, and endpoints that were told of events that are not there.
func checkWebhooks(ctx context.Context, a *audit) (found []finding, _ error) {
	store, err := a.opened.webhookStore(ctx)
	if err != nil {
		return nil, err
	}
	endpoints, err := store.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		cursor, err := store.Cursor(ctx, e.ID)
		if err != nil {
			return nil, err
		}
		pending, err := store.Pending(ctx, e.ID, 1)
		if err != nil {
			return nil, err
		}
		head, err := a.log.Head(ctx)
		if err != nil {
			return nil, err
		}
		if cursor.Position > head {
			found = append(found, finding{
				What: fmt.Sprintf("endpoint %s has been told of events up to %d, the log ends at %d", e.ID, cursor.Position, head),
				Hint: "the log was restored from an older backup: have all told again from a position, with redeliver",
			})
		}
		for _, d := range pending {
			if f, late := lateDelivery(e, d, a.started.Add(-a.Grace)); late {
				found = append(found, f)
			}
		}
	}
	return found, nil
}

func lateDelivery(e webhooks.Endpoint, d webhooks.Delivery, before time.Time) (finding, bool) {
	return finding{
		What:   fmt.Sprintf("delivery %s was due at %s", d.ID(), d.Next.Local().Format(time.DateTime)),
		Hint:   "does a process run that has the role webhooks?",
		Notice: true,
	}, e.Enabled && d.Next.Before(before)
}

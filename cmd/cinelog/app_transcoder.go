package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cinelog/cinelog/adapters/ffmpeg"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/commands"
)

// addTranscoder adds the policy, and the workers with their FFmpeg.
func (a *app) addTranscoder(ctx context.Context) error {
	owner, err := filepath.Abs(a.Data)
	if err != nil {
		return err
	}
	encoder, err := ffmpeg.New(ctx, ffmpeg.Options{Log: a.log, Owner: owner, Threads: min(8, a.cpus)})
	if err != nil {
		return err
	}
	a.encoder = encoder
	pub, err := a.bus.publisher()
	if err != nil {
		return err
	}
	policy := &commands.Transcoding{Service: a.service, Tasks: messaging.NewTasks(pub), Encoding: a.encoding}
	a.events(groupTranscoding, policy.Handle)
	a.deadLetters(messaging.TopicEvents, groupTranscoding, func(ctx context.Context, l messaging.DeadLetter) error {
		e, err := messaging.ReadEvent(ctx, a.eventLog, l.Payload)
		switch {
		case messaging.IsPermanent(err):
			return nil // not an event of this program: nobody waits for it
		case err != nil:
			return err
		}
		return policy.GiveUp(ctx, e)
	})
	slots := cmp.Or(a.cpus, runtime.NumCPU())
	worker := &commands.Worker{Service: a.service, Encoder: encoder, Log: a.log, Slots: slots, CPUs: slots, Strained: strained(a.Data)}
	if a.does(roleAPI) { // which the uploads come to
		if err := a.addAhead(worker, encoder); err != nil {
			return err
		}
	}
	for _, topic := range messaging.TaskTopics() {
		places := slots
		if topic == messaging.TopicUrgent {
			places += lookers + commands.SoundsAtOnce
		}
		a.part(func(ctx context.Context) error {
			return messaging.ConsumeTasks(ctx, messaging.Consumer{
				Subscriber: a.bus.Subscriber(groupWorkers), Topic: topic, Concurrency: places, Log: a.log,
			}, worker.Handle)
		})
		a.deadLetters(topic, groupWorkers, func(ctx context.Context, l messaging.DeadLetter) error {
			if task, ok := messaging.DecodeTask(l.Payload); ok {
				return worker.GiveUp(ctx, task, l.Attempts)
			}
			return nil
		})
	}
	if a.media.abortStale != nil {
		a.part(a.dropStaleUploads)
	}
	if a.alone { // then what is stored and not recorded was left by an earlier process
		a.part(func(ctx context.Context) error {
			if err := worker.SweepAll(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("storage could not be swept; the next start tries again", "error", err)
			}
			return nil
		})
	}
	return nil
}

// addAhead lets work begin on uploads that are under way.
func (a *app) addAhead(worker *commands.Worker, encoder *ffmpeg.Encoder) error {
	ahead := &commands.Ahead{Worker: worker, Encoder: encoder, Encoding: a.encoding}
	if !a.media.here {
		ahead.Spool = filepath.Join(a.Data, "uploads")
		if err := errors.Join(os.RemoveAll(ahead.Spool), os.MkdirAll(ahead.Spool, 0o700)); err != nil {
			return fmt.Errorf("make a directory for uploads: %w", err)
		}
	}
	a.service.Ahead = ahead
	a.part(ahead.Run)
	return nil
}

// lookers is how much urgent work that needs no place of an encoder (the look at a source, its remux, the first of its sound) is done
// beside all first chunks that wait for one, and beside the sound of long videos.
const lookers = 2

// dropStaleUploads frees what uploads to storage hold that a crash cut off: nobody sees them, but they cost.
func (a *app) dropStaleUploads(ctx context.Context) error {
	tick := time.NewTicker(staleCheck)
	defer tick.Stop()
	for {
		if n, err := a.media.abortStale(ctx, time.Now().Add(-staleUpload)); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "unfinished uploads to storage could not be looked at", "error", err)
		} else if n > 0 {
			a.log.InfoContext(ctx, "dropped unfinished uploads to storage", "uploads", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// An upload that is older than staleUpload is not under way any more: it would have been cut off long ago.
const (
	staleUpload = 24 * time.Hour
	staleCheck  = time.Hour
)

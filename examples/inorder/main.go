// Command inorder is a subscriber outside of Cinelog that gets each video's events in order, every one at least once. It has a
// queue of its own on SQS, reads the events from the log, and keeps in a database of its own how far it has come. Any number
// of processes may run it.
//
//	go run ./examples/inorder -log mongodb://HOST/cinelog -places mongodb://HOST/notifier -prefix cinelog -group notifier
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/domain"
)

func main() {
	log := flag.String("log", "", "database of the event log")
	places := flag.String("places", "", "database of ours")
	prefix := flag.String("prefix", "cinelog", "how the names of Cinelog's topics begin")
	group := flag.String("group", "notifier", "name of our consumer group")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *log, *places, *prefix, *group, os.Stdout); err != nil && ctx.Err() == nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // there is nothing left to end
	}
}

func run(ctx context.Context, logURI, placesURI, prefix, group string, out io.Writer) (err error) {
	theirs, err := mongo.Open(ctx, logURI, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }() //nolint:contextcheck // ours may have ended
	log, err := mongo.OpenLogReadOnly(ctx, theirs)
	if err != nil {
		return err
	}
	ours, err := mongo.Open(ctx, placesURI, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }() //nolint:contextcheck // as above

	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	wanted := []string{"video.created.v1", "video.published.v1", "video.deleted.v1"}
	bus, err := aws.Open(ctx, aws.Options{ // makes the queue, its dead letters and the subscription where they are missing
		Config: cfg, Now: time.Now, Prefix: prefix, Log: slog.Default(),
		Topics: []aws.Topic{{Name: messaging.TopicEvents, Groups: []aws.Group{{Name: group, Types: wanted}}}},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close()) }()

	return messaging.ConsumeInOrder(ctx,
		messaging.Consumer{Subscriber: bus.Subscriber(group), Concurrency: 4, Log: slog.Default()},
		messaging.Order{Group: group, Places: mongo.NewPlaces(ours), Log: log, Types: wanted},
		func(_ context.Context, e domain.Recorded) error {
			_, err := fmt.Fprintf(out, "%s %d %s\n", e.Stream, e.Version, domain.EventType(e.Event))
			return err // the event comes again; after ten errors it is a dead letter, and the rest of its video waits
		})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/bus"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/projections"
)

// openBus opens the queues of a server. The relay's checkpoint lies with the messages, or with the read models where
// messages are elsewhere.
func (o *opener) openBus(ctx context.Context) (messageBus, error) {
	at, err := o.bus()
	if err != nil {
		return nil, err
	}
	if at.scheme == "sqlite" {
		return o.openQueues(ctx, at, bus.Options{Log: o.logger, Now: time.Now, Lease: o.lease, MaxReceive: o.tries})
	}
	options, err := o.awsOptions(ctx, at)
	if err != nil {
		return nil, err
	}
	options.DoNotCreate, options.MaxReceive = true, o.tries
	b, err := aws.Open(ctx, options)
	if b, err = keep(o, b, err); err != nil {
		return nil, unreached(err, "is there a way to it? AWS_REGION and AWS_ENDPOINT_URL say where it is")
	}
	checkpoint, err := o.relayCheckpoint(ctx)
	return awsBus{b, checkpoint}, err
}

func (o *opener) openQueues(ctx context.Context, at place, options bus.Options) (messageBus, error) {
	db, err := sqlite.OpenDB(ctx, filepath.Join(at.rest, "bus.db"), sqlite.Normal)
	if db, err = keep(o, db, err); err != nil {
		return nil, err
	}
	options.Durable = []string{messaging.TopicViews} // the others can be published again
	queues, err := bus.Open(ctx, db, options)
	if queues, err = keep(o, queues, err); err != nil {
		return nil, err
	}
	for topic, groups := range consumerGroups() {
		for _, group := range groups {
			if err := queues.DeclareGroup(ctx, topic, group); err != nil {
				return nil, err
			}
		}
	}
	return sqliteBus{queues}, nil
}

func (o *opener) awsOptions(ctx context.Context, at place) (aws.Options, error) {
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return aws.Options{}, fmt.Errorf("find the settings of AWS: %w", err)
	}
	options := aws.Options{Config: cfg, Log: o.logger, Now: time.Now, Prefix: at.rest, Lease: o.lease}
	options.Topics = awsTopics()
	return options, nil
}

func awsTopics() (topics []aws.Topic) {
	for topic, groups := range consumerGroups() {
		t := aws.Topic{Name: topic, Work: slices.Contains(messaging.TaskTopics(), topic)}
		for _, group := range groups {
			t.Groups = append(t.Groups, aws.Group{Name: group, Types: wantedTypes(topic, group)})
		}
		topics = append(topics, t)
	}
	return topics
}

// inspectBus opens the queues beside the server that works on them.
func (o *opener) inspectBus(ctx context.Context) (messageBus, error) {
	at, err := o.bus()
	if err != nil {
		return nil, err
	}
	if at.scheme == "sqlite" {
		return o.openQueues(ctx, at, bus.Options{Shared: true, Now: time.Now})
	}
	return o.openBus(ctx)
}

// existingBus is inspectBus where a server has been: nothing is made.
func (o *opener) existingBus(ctx context.Context) (messageBus, error) {
	at, err := o.bus()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(at.rest, "bus.db")); at.scheme == "sqlite" && err != nil {
		return nil, errors.New("there are no messages yet")
	}
	return o.inspectBus(ctx)
}

// relayCheckpoint keeps how far the relay has come as a read model that has no rows.
func (o *opener) relayCheckpoint(ctx context.Context) (*rowsCheckpoint, error) {
	at, err := o.views()
	if err != nil {
		return nil, err
	}
	model := projections.RelayModel()
	if at.scheme == "mongodb" {
		db, err := o.mongo(ctx, at.rest)
		if err != nil {
			return nil, err
		}
		rows, err := mongo.OpenRows(ctx, db, model)
		return &rowsCheckpoint{rows: rows}, err
	}
	rows, err := sqlite.OpenRows(ctx, at.rest, model)
	rows, err = keep(o, rows, err)
	return &rowsCheckpoint{rows: rows}, err
}

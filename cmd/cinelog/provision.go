package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/s3"
	"github.com/cinelog/cinelog/projections"
)

type provisionCmd struct {
	DryRun   bool     `help:"Say what would be made, and make nothing."`
	PrintIAM bool     `help:"Print the IAM policies with the least rights that each role needs, and make nothing."`
	Origin   []string `help:"Origins of pages that may fetch media from the bucket (CORS)." default:"*"`
}

// Run makes what is missing at the places that the flags name. Doing it again makes nothing.
func (p provisionCmd) Run(ctx context.Context, c *console) error {
	opened := c.opener(slog.New(slog.DiscardHandler))
	defer func() { _ = opened.Close() }()
	if p.PrintIAM {
		return p.printPolicies(ctx, c, opened)
	}
	n := 0
	for _, provision := range []func(context.Context, *opener) ([]string, error){p.mongo, p.queues, p.bucket} {
		done, err := provision(ctx, opened)
		for _, what := range done {
			n++
			p.tell(c, what)
		}
		if err != nil {
			return err
		}
	}
	if n == 0 && !c.json {
		c.printf("Nothing to do: all is there.\n")
	}
	return nil
}

func (p provisionCmd) tell(c *console, what string) {
	if c.json {
		b, _ := json.Marshal(map[string]any{"action": what, "done": !p.DryRun}) // of a map of texts: it cannot fail
		c.printf("%s\n", b)
		return
	}
	if p.DryRun {
		what = "would " + what
	}
	c.printf("%s\n", what)
}

func (p provisionCmd) mongo(ctx context.Context, o *opener) (done []string, err error) {
	seen, relay := map[string]bool{}, projections.RelayModel()
	for _, where := range []func() (place, error){o.log, o.views} {
		at, err := where()
		if err != nil {
			return done, err
		}
		if at.scheme != "mongodb" || seen[at.rest] {
			continue
		}
		seen[at.rest] = true
		db, err := o.mongo(ctx, at.rest)
		if err != nil {
			return done, err
		}
		more, err := db.Provision(ctx, p.DryRun, mongo.View{Name: relay.Name, Version: relay.Version})
		done = append(done, more...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (p provisionCmd) queues(ctx context.Context, o *opener) (done []string, err error) {
	b, err := connectAWS(ctx, o)
	if err != nil || b == nil {
		return nil, err
	}
	var actions []aws.Action
	if p.DryRun {
		actions, err = b.Plan(ctx)
	} else {
		actions, err = b.Provision(ctx)
	}
	for _, a := range actions {
		done = append(done, a.What)
	}
	return done, err
}

// connectAWS is nil when messages are elsewhere.
func connectAWS(ctx context.Context, o *opener) (*aws.Bus, error) {
	at, err := o.bus()
	if err != nil || at.scheme != "aws" {
		return nil, err
	}
	options, err := o.awsOptions(ctx, at)
	if err != nil {
		return nil, err
	}
	b, err := aws.Connect(ctx, options)
	return keep(o, b, err)
}

func (p provisionCmd) bucket(ctx context.Context, o *opener) ([]string, error) {
	at, err := o.blobs()
	if err != nil || at.scheme != "s3" {
		return nil, err
	}
	s, err := o.openS3(ctx, at)
	if err != nil {
		return nil, err
	}
	return s.EnsureBucket(ctx, p.Origin, p.DryRun)
}

// printPolicies prints a document for each role, and one for provisioning and for people.
func (p provisionCmd) printPolicies(ctx context.Context, c *console, o *opener) error {
	b, err := connectAWS(ctx, o)
	if err != nil {
		return err
	}
	at, err := o.blobs()
	if err != nil {
		return err
	}
	consume := func(topic, group string) []aws.GroupName { return []aws.GroupName{{Topic: topic, Group: group}} }
	for _, role := range []struct {
		name   string
		rights aws.Rights
		blobs  bool
	}{
		{roleAPI, aws.Rights{Publish: []string{messaging.TopicViews}}, true},
		{roleRelay, aws.Rights{Publish: []string{messaging.TopicEvents}}, false},
		{roleProjector, aws.Rights{Consume: consume(messaging.TopicEvents, groupProjector)}, false},
		{roleTranscoder, aws.Rights{
			Publish: messaging.TaskTopics(),
			Consume: slices.Concat(consume(messaging.TopicEvents, groupTranscoding),
				consume(messaging.TopicUrgent, groupWorkers), consume(messaging.TopicTasks, groupWorkers)),
		}, true},
		{roleAnalytics, aws.Rights{
			Consume: slices.Concat(consume(messaging.TopicEvents, groupAnalytics), consume(messaging.TopicViews, groupAnalytics)),
		}, false},
		{"dlq", aws.Rights{DeadLetters: true}, false},
		{"provision", aws.Rights{Provision: true}, false},
	} {
		policy := aws.Policy{Version: "2012-10-17"}
		if b != nil {
			policy = b.Policy(role.rights)
		}
		if role.blobs && at.scheme == "s3" {
			if err := allowBlobs(&policy, at); err != nil {
				return err
			}
		}
		if len(policy.Statement) == 0 {
			continue
		}
		text, err := json.MarshalIndent(policy, "", "  ")
		if err != nil {
			return err
		}
		if c.json {
			text, err = json.Marshal(map[string]any{"role": role.name, "policy": policy})
			if err != nil {
				return err
			}
			c.printf("%s\n", text)
			continue
		}
		c.printf("# %s\n%s\n", role.name, text)
	}
	return nil
}

func allowBlobs(p *aws.Policy, at place) error {
	options, err := s3.ParseURL(at.rest)
	if err != nil {
		return err
	}
	bucket, objects := s3.Actions()
	prefix := options.Prefix
	if prefix != "" {
		prefix += "/"
	}
	p.Statement = append(p.Statement,
		aws.Statement{Sid: "Bucket", Effect: "Allow", Action: bucket, Resource: []string{"arn:aws:s3:::" + options.Bucket}},
		aws.Statement{Sid: "Blobs", Effect: "Allow", Action: objects, Resource: []string{fmt.Sprintf("arn:aws:s3:::%s/%s*", options.Bucket, prefix)}},
	)
	return nil
}

package main

import (
	"context"
	"time"

	"github.com/cinelog/cinelog/adapters/mongo"
	"github.com/cinelog/cinelog/adapters/sqlite"
	"github.com/cinelog/cinelog/adapters/webhook"
	"github.com/cinelog/cinelog/webhooks"
)

// endpointsTick is how long a process waits until it looks what others have said about endpoints.
const endpointsTick = 5 * time.Second

// webhookStore is where endpoints and their deliveries are kept: with what else people have said.
func (o *opener) webhookStore(ctx context.Context) (webhooks.Store, error) {
	ops, err := o.operations(ctx)
	if err != nil {
		return nil, err
	}
	if ops.mongo != nil {
		return mongo.OpenWebhooks(ctx, ops.mongo)
	}
	return sqlite.OpenWebhooks(ctx, ops.sqlite)
}

// openWebhooks opens what owners of endpoints talk to, and what tells them.
func (a *app) openWebhooks(ctx context.Context) error {
	store, err := a.opened.webhookStore(ctx)
	if err != nil {
		return err
	}
	sender := webhook.New(webhook.Options{Private: a.private, UserAgent: "Cinelog/" + version()})
	a.opened.closers = append(a.opened.closers, sender)
	a.rehook = make(chan struct{}, 1)
	a.hooks = &webhooks.Service{
		Store: store, Log: a.eventLog, Now: time.Now, Sender: sender, CheckURL: sender.CheckURL, Changed: func() { signalTo(a.rehook) },
	}
	a.sender = sender
	return nil
}

// addWebhooks tells endpoints of events. In a process that is alone with the log nobody else changes anything, so that it
// sleeps while nothing happens.
func (a *app) addWebhooks(context.Context) error {
	appended, every := a.onAppend()
	d := &webhooks.Dispatcher{
		Store: a.hooks.Store, Log: a.eventLog, Sender: a.sender, Now: time.Now, Logger: a.log,
		Appended: appended, Changed: a.rehook, EventsEvery: every, EndpointsEvery: endpointsTick,
	}
	if a.alone {
		d.EventsEvery, d.EndpointsEvery = 0, 0
	}
	a.part(d.Run)
	return nil
}

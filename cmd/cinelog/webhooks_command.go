package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cinelog/cinelog/web"
)

// webhooksCmd asks a running server, which knows where it may send to.
type webhooksCmd struct {
	Server string `help:"Address of the server." default:"http://127.0.0.1:8080" env:"CINELOG_SERVER"`

	Ls         webhooksLsCmd         `cmd:"" help:"List the endpoints."`
	Add        webhooksAddCmd        `cmd:"" help:"Add an endpoint; prints its secret, once."`
	Rm         webhooksRmCmd         `cmd:"" help:"Tell an endpoint no more."`
	Enable     webhooksEnableCmd     `cmd:"" help:"Have an endpoint be told again, from where it stopped."`
	Disable    webhooksDisableCmd    `cmd:"" help:"Have an endpoint be told nothing for now."`
	Rotate     webhooksRotateCmd     `cmd:"" help:"Give an endpoint a new secret and print it; the one before signs for 24 h more."`
	Test       webhooksTestCmd       `cmd:"" help:"Send an endpoint a message that only tests it, at once; exit 1 where it is not taken."`
	Deliveries webhooksDeliveriesCmd `cmd:"" help:"List what an endpoint was told, and is to be told, newest first."`
	Redeliver  webhooksRedeliverCmd  `cmd:"" help:"Tell an endpoint again: of one delivery, or of everything from a position."`
}

func (w *webhooksCmd) client() *client { return &client{server: strings.TrimSuffix(w.Server, "/")} }

func webhookPath(id, rest string) string { return "/v1/webhooks/" + url.PathEscape(id) + rest }

// webhookSecret is what the server answers where it tells a secret.
type webhookSecret struct {
	web.WebhookAnswer

	Secret string `json:"secret"`
}

// print prints a document as it is for programs, or has people print it.
func (c *console) print(document any, people func()) error {
	if !c.json {
		people()
		return nil
	}
	b, err := json.Marshal(document)
	if err == nil {
		c.printf("%s\n", b)
	}
	return err
}

type webhooksLsCmd struct{}

// Run lists the endpoints.
func (webhooksLsCmd) Run(ctx context.Context, c *console, w *webhooksCmd) error {
	var list struct{ Items []web.WebhookAnswer }
	if err := w.client().call(ctx, "GET", "/v1/webhooks", nil, &list); err != nil {
		return err
	}
	if len(list.Items) == 0 && !c.json {
		c.printf("No endpoints.\n")
	}
	for _, e := range list.Items {
		err := c.print(e, func() {
			state := "enabled"
			if !e.Enabled {
				state = strings.TrimSuffix("disabled: "+e.DisabledReason, ": ")
			}
			types := "everything"
			if len(e.Types) > 0 {
				types = strings.Join(e.Types, ", ")
			}
			c.printf("%s  %s  %s\n    %s\n", e.ID, e.URL, state, types)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

type webhooksAddCmd struct {
	URL         string   `arg:"" help:"https://host/path"`
	Type        []string `help:"Types of events, or how they begin with a * at the end; everything where there is none."`
	Description string   `help:"For people."`
	From        int64    `help:"The position of the first event to tell of; the next one when 0."`
}

// Run adds an endpoint.
func (a webhooksAddCmd) Run(ctx context.Context, c *console, w *webhooksCmd) error {
	body := map[string]any{"url": a.URL, "description": a.Description}
	if len(a.Type) > 0 {
		body["types"] = a.Type
	}
	if a.From > 0 {
		body["from"] = a.From
	}
	var made webhookSecret
	if err := w.client().call(ctx, "POST", "/v1/webhooks", body, &made); err != nil {
		return err
	}
	return c.print(made, func() {
		c.printf("%s\nsecret %s\nIt is not shown again. \"cinelog webhooks test %s\" tries whether messages arrive.\n", made.ID, made.Secret, made.ID)
	})
}

// webhookArg names an endpoint.
type webhookArg struct {
	ID string `arg:"" help:"Which endpoint, as ls prints it."`
}

type webhooksRmCmd struct{ webhookArg }

// Run removes an endpoint.
func (a webhooksRmCmd) Run(ctx context.Context, w *webhooksCmd) error {
	return w.client().call(ctx, "DELETE", webhookPath(a.ID, ""), nil, nil)
}

type (
	webhooksEnableCmd  struct{ webhookArg }
	webhooksDisableCmd struct{ webhookArg }
)

// Run enables an endpoint.
func (a webhooksEnableCmd) Run(ctx context.Context, w *webhooksCmd) error {
	return w.client().call(ctx, "PATCH", webhookPath(a.ID, ""), map[string]any{"enabled": true}, nil)
}

// Run disables an endpoint.
func (a webhooksDisableCmd) Run(ctx context.Context, w *webhooksCmd) error {
	return w.client().call(ctx, "PATCH", webhookPath(a.ID, ""), map[string]any{"enabled": false}, nil)
}

type webhooksRotateCmd struct{ webhookArg }

// Run replaces an endpoint's secret.
func (a webhooksRotateCmd) Run(ctx context.Context, c *console, w *webhooksCmd) error {
	var made webhookSecret
	if err := w.client().call(ctx, "POST", webhookPath(a.ID, "/secret"), nil, &made); err != nil {
		return err
	}
	return c.print(made, func() { c.printf("secret %s\n", made.Secret) })
}

type webhooksTestCmd struct{ webhookArg }

// Run tests an endpoint.
func (a webhooksTestCmd) Run(ctx context.Context, c *console, w *webhooksCmd) error {
	var t web.TestedAnswer
	if err := w.client().call(ctx, "POST", webhookPath(a.ID, "/test"), nil, &t); err != nil {
		return err
	}
	err := c.print(t, func() {
		if t.Taken {
			c.printf("taken: %d in %d ms (%s)\n", t.StatusCode, t.Milliseconds, t.ID)
		}
	})
	if err == nil && !t.Taken {
		err = fmt.Errorf("not taken: %s, after %d ms", t.Error, t.Milliseconds)
	}
	return err
}

type webhooksDeliveriesCmd struct {
	webhookArg

	Status string `help:"Only these." enum:",pending,delivered,failed" default:""`
	Limit  int    `help:"So many at most." default:"50"`
}

// Run lists deliveries.
func (a webhooksDeliveriesCmd) Run(ctx context.Context, c *console, w *webhooksCmd) error {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	t := &console{out: table}
	if !c.json {
		t.printf("DELIVERY\tTYPE\tVIDEO\tSTATUS\tATTEMPTS\tANSWER\tNEXT\n")
	}
	cursor := ""
	for left := a.Limit; left > 0; {
		const page = 100
		query := url.Values{"limit": {strconv.Itoa(min(left, page))}}
		if a.Status != "" {
			query.Set("status", a.Status)
		}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		var list struct {
			Items      []web.DeliveryAnswer `json:"items"`
			NextCursor string               `json:"next_cursor"`
		}
		if err := w.client().call(ctx, "GET", webhookPath(a.ID, "/deliveries?"+query.Encode()), nil, &list); err != nil {
			return err
		}
		for _, d := range list.Items {
			if err := c.print(d, func() { printDelivery(t, d) }); err != nil {
				return err
			}
		}
		if left -= len(list.Items); list.NextCursor == "" {
			break
		}
		cursor = list.NextCursor
	}
	return table.Flush()
}

func printDelivery(c *console, d web.DeliveryAnswer) {
	answer, next := d.Error, ""
	if answer == "" && d.StatusCode > 0 {
		answer = strconv.Itoa(d.StatusCode)
	}
	if !d.NextAttemptAt.IsZero() {
		next = d.NextAttemptAt.Local().Format(time.DateTime)
	}
	c.printf("%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.ID, d.Type, d.Video, d.Status, d.Attempts, answer, next)
}

type webhooksRedeliverCmd struct {
	webhookArg

	Delivery string `help:"One delivery, as deliveries prints it."`
	From     int64  `help:"Everything that the endpoint wants, from this position on."`
}

// Run has an endpoint be told again.
func (a webhooksRedeliverCmd) Run(ctx context.Context, w *webhooksCmd) error {
	body := map[string]any{"delivery": a.Delivery}
	if (a.Delivery == "") == (a.From == 0) {
		return usageError("redeliver takes either --delivery or --from")
	}
	if a.From != 0 {
		body = map[string]any{"from": a.From}
	}
	return w.client().call(ctx, "POST", webhookPath(a.ID, "/redeliver"), body, nil)
}

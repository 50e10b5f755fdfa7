package aws_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/test/backends"
)

// connections are shared by all tests, so that they can be closed before the search for leaks.
var connections = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 100 // every server is at the same address
	return t
}()

type suite struct{ m *testing.M }

func (s suite) Run() int {
	defer connections.CloseIdleConnections()
	return s.m.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(suite{m}) }

// account returns how to reach an SNS and SQS.
func account(tb testing.TB, endpoint string) awssdk.Config {
	tb.Helper()
	options := []func(*config.LoadOptions) error{config.WithBaseEndpoint(endpoint)}
	if os.Getenv("AWS_REGION") == "" {
		options = append(options, config.WithRegion(backends.Region))
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	}
	c, err := config.LoadDefaultConfig(context.Background(), options...)
	if err != nil {
		tb.Fatal(err)
	}
	c.HTTPClient = &http.Client{Transport: connections} // not as an option: AWS_CA_BUNDLE may be set, for others
	return c
}

// prefix returns a beginning of names that nobody else has.
func prefix() string { return "t" + strings.ToLower(rand.Text()[:10]) }

// fast lets requests end by themselves: SQS and its stand-in hand messages to those whose sender has gone away, too.
func fast(o aws.Options) aws.Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Grace == 0 {
		o.Grace = time.Second
	}
	if o.Backoff == nil {
		o.Backoff = func(int) time.Duration { return 0 }
	}
	return o
}

func open(tb testing.TB, o aws.Options) *aws.Bus {
	tb.Helper()
	if o.Config.Region == "" {
		o.Config = account(tb, backends.AWS(tb))
	}
	if o.Prefix == "" {
		o.Prefix = prefix()
	}
	b, err := aws.Open(context.Background(), fast(o))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

func publisher(tb testing.TB, b *aws.Bus) message.Publisher {
	tb.Helper()
	pub, err := b.Publisher()
	if err != nil {
		tb.Fatal(err)
	}
	return pub
}

func subscribe(tb testing.TB, b *aws.Bus, group, topic string) <-chan *message.Message {
	tb.Helper()
	msgs, err := b.Subscriber(group).Subscribe(tb.Context(), topic)
	if err != nil {
		tb.Fatal(err)
	}
	return msgs
}

func wait[T any](tb testing.TB, c <-chan T) T {
	tb.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		tb.Fatal("waited in vain")
		panic("unreachable")
	}
}

// network is what a dead process has none of.
type network struct{ cut atomic.Bool }

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if n.cut.Load() {
		return nil, errDead
	}
	return connections.RoundTrip(r)
}

var errDead = errors.New("this process is dead")

// mortal returns a bus and the end of its process: nothing of it reaches AWS any more.
func mortal(tb testing.TB, o aws.Options) (b *aws.Bus, die func()) {
	tb.Helper()
	n := &network{}
	o.Config = account(tb, backends.AWS(tb))
	o.Config.HTTPClient = &http.Client{Transport: n}
	return open(tb, o), func() { n.cut.Store(true) }
}

func publish(tb testing.TB, b *aws.Bus, topic string, msgs ...*message.Message) {
	tb.Helper()
	if err := publisher(tb, b).Publish(topic, msgs...); err != nil {
		tb.Fatal(err)
	}
}

func text(payload string) *message.Message {
	return message.NewMessage(watermill.NewUUID(), []byte(payload))
}

// topic has one group.
func topic(name, group string) []aws.Topic {
	return []aws.Topic{{Name: name, Groups: []aws.Group{{Name: group}}}}
}

// letters waits until there are n dead letters.
func letters(tb testing.TB, b *aws.Bus, n int) []messaging.DeadLetter {
	tb.Helper()
	for range 30 {
		dead, err := b.DeadLetters(tb.Context()) // takes a second
		if err != nil {
			tb.Fatal(err)
		}
		if len(dead) == n {
			return dead
		}
	}
	tb.Fatalf("%d dead letters did not come", n)
	return nil
}

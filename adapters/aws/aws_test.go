package aws_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/test/backends"
)

// connections are shared by all tests, so that they can be closed before the search for leaks.
var connections = http.DefaultTransport.(*http.Transport).Clone()

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

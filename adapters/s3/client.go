package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// maxBackoff is the longest wait between two tries: somebody waits for the answer.
const maxBackoff = 2 * time.Second

// busy gives codes that the SDK does not know to be passing. versitygw says the second where one request makes a directory
// that another, which deleted the last object in it, removes.
func busy() map[string]struct{} {
	return map[string]struct{}{"OperationAborted": {}, "ExistingObjectIsDirectory": {}}
}

// newClient makes a client and finds credentials, so that their absence is told now and not by the first upload.
func newClient(ctx context.Context, o Options) (*s3.Client, error) {
	load := []func(*config.LoadOptions) error{
		config.WithHTTPClient(newHTTPClient(o.Timeout)),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(r *retry.StandardOptions) {
				r.MaxAttempts, r.MaxBackoff = o.Tries, maxBackoff
				r.Retryables = append(r.Retryables, retry.RetryableErrorCode{Codes: busy()})
			})
		}),
	}
	if o.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, "")))
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		if o.Endpoint == "" {
			return nil, errors.New("no AWS region: add ?region=REGION to the address of the bucket or set AWS_REGION")
		}
		cfg.Region = "us-east-1" // what stands there matters to Amazon only
	}
	credsCtx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if _, err := cfg.Credentials.Retrieve(credsCtx); err != nil {
		return nil, fmt.Errorf("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "+
			"or give this machine a role: %w", err)
	}
	return s3.NewFromConfig(cfg, func(c *s3.Options) {
		c.UsePathStyle = o.PathStyle
		c.DisableLogOutputChecksumValidationSkipped = true // ranges and multipart objects have none: a line for each read
		if o.Endpoint != "" {
			c.BaseEndpoint = aws.String(o.Endpoint)
		}
	}), nil
}

// newHTTPClient makes a client whose connections fail when the other side takes or gives nothing for the time of
// silence. A time for a whole request would have to be long enough for the slowest line.
func newHTTPClient(silence time.Duration) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		dialer := &net.Dialer{Timeout: min(silence, 5*time.Second), KeepAlive: 30 * time.Second}
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &lively{c, silence}, nil
		}
		t.MaxIdleConnsPerHost = 64
		t.IdleConnTimeout = silence // the read that waits on an idle connection would end it then anyway
		t.ForceAttemptHTTP2 = false // one stream's deadline would be all streams' deadline
	})
}

// lively is a connection that fails when nothing moves on it for the time of silence.
type lively struct {
	net.Conn

	silence time.Duration
}

func (l *lively) Read(p []byte) (int, error) {
	_ = l.SetReadDeadline(l.deadline()) // fails only on a closed connection, and then Read does
	return l.Conn.Read(p)
}

// Write also gives the answer its time: a read that began when the connection was idle waits for it already.
func (l *lively) Write(p []byte) (int, error) {
	_ = l.SetDeadline(l.deadline())
	return l.Conn.Write(p)
}

func (l *lively) deadline() time.Time {
	return time.Now().Add(l.silence) //nolint:forbidigo // the kernel's deadlines follow the real clock
}

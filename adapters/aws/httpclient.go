package aws

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// httpClient sends requests with bodies of its own.
//
// The SDK closes a request's body as soon as the answer begins. Where the answer is quick and this process is not,
// net/http is just about to look whether the body has ended; it takes the close for an error and drops the connection
// with the rest of the answer. The SDK then asks again; but the messages of a lost answer of SQS stay hidden.
type httpClient struct{ awssdk.HTTPClient }

// newHTTPClient mends a client, and gives the SDK's own room for the connections that requests at once need: it keeps
// ten, and would make a new one, with a handshake, for most requests.
func newHTTPClient(c awssdk.HTTPClient) awssdk.HTTPClient {
	if c == nil {
		c = awshttp.NewBuildableClient()
	}
	if sdk, ok := c.(*awshttp.BuildableClient); ok {
		c = sdk.WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost, t.MaxIdleConns = 100, 200 })
	}
	return httpClient{c}
}

// Do sends a request. All bodies of SNS and SQS are small.
func (c httpClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.HTTPClient.Do(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body of a request: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return c.HTTPClient.Do(r)
}

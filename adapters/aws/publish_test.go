package aws_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/cinelog/cinelog/adapters/aws"
	"github.com/cinelog/cinelog/adapters/messaging"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/backends"
)

// What AWS would refuse, or throw away on the way to the queue, is refused by us with a word; what it takes arrives.
func TestLimitsOfMessages(t *testing.T) {
	t.Parallel()
	metadata := func(n int) message.Metadata {
		m := message.Metadata{}
		for i := range n {
			m.Set(fmt.Sprintf("key%d", i), "v")
		}
		return m
	}
	const uuid, overhead = "0123", len("_watermill_message_uuid") + len("String") + 4
	full := strings.Repeat("x", 256<<10-overhead)
	for name, c := range map[string]struct {
		payload  string
		metadata message.Metadata
		want     error
		says     string
	}{
		"no payload":        {},
		"bytes":             {payload: "\x00\xff\x01"},
		"text":              {payload: "<é&\U0001F600>\n", metadata: message.Metadata{"k": "<é>&"}},
		"empty metadata":    {payload: "x", metadata: message.Metadata{"k": "v", "none": ""}},
		"8 metadata":        {payload: "x", metadata: metadata(8)},
		"9 metadata":        {payload: "x", metadata: metadata(9), want: domain.ErrInvalid, says: "has 9 metadata"},
		"256 KiB":           {payload: full},
		"one byte too many": {payload: full + "x", want: domain.ErrTooLarge, says: "262145 bytes"},
		"control character": {payload: "x", metadata: message.Metadata{"k": "\x01"}, want: domain.ErrInvalid, says: `"k"`},
		"no name":           {payload: "x", metadata: message.Metadata{"": "v"}, want: domain.ErrInvalid, says: `metadata ""`},
		"name of AWS":       {payload: "x", metadata: message.Metadata{"AWS.x": "v"}, want: domain.ErrInvalid, says: "AWS.x"},
		"space in a name":   {payload: "x", metadata: message.Metadata{"a b": "v"}, want: domain.ErrInvalid, says: "a b"},
		"dots in a name":    {payload: "x", metadata: message.Metadata{"a..b": "v"}, want: domain.ErrInvalid, says: "a..b"},
	} {
		for _, topic := range []aws.Topic{{Name: "topic", Groups: []aws.Group{{Name: "g"}}}, {Name: "work", Work: true, Groups: []aws.Group{{Name: "g"}}}} {
			t.Run(name+" to "+topic.Name, func(t *testing.T) {
				t.Parallel()
				b := open(t, aws.Options{Topics: []aws.Topic{topic}})
				m := message.NewMessage(uuid, []byte(c.payload))
				for k, v := range c.metadata {
					m.Metadata.Set(k, v)
				}
				for name, msgs := range map[string][]*message.Message{"alone": {m}, "in a batch": {m, text("other")}} {
					err := publisher(t, b).Publish(topic.Name, msgs...)
					if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
						t.Errorf("%s: %v", name, err)
					}
				}
				if c.want != nil {
					return
				}
				msgs := subscribe(t, b, "g", topic.Name)
				for range 3 {
					got := wait(t, msgs)
					got.Ack()
					if string(got.Payload) == "other" {
						continue
					}
					delete(got.Metadata, messaging.MetaReceiveCount)
					delete(m.Metadata, "none")
					if !got.Equals(m) {
						t.Errorf("got %s %.50q %v", got.UUID, got.Payload, got.Metadata)
					}
				}
			})
		}
	}
}

func TestBatchesStayUnderTheirLimits(t *testing.T) {
	t.Parallel()
	b := open(t, aws.Options{Topics: append(topic("topic", "g"), aws.Topic{Name: "work", Work: true, Groups: []aws.Group{{Name: "g"}}})})
	for _, topic := range []string{"topic", "work"} {
		var msgs []*message.Message
		want := map[string]bool{}
		for i := range 37 {
			m := text(strings.Repeat("x", i*5000)) // 3.3 MB in all
			m.Metadata.Set(messaging.MetaPriority, strconv.Itoa(i%2))
			msgs, want[m.UUID] = append(msgs, m), true
		}
		publish(t, b, topic, msgs...)
		got := subscribe(t, b, "g", topic)
		for len(want) > 0 {
			m := wait(t, got)
			if m.Ack(); !want[m.UUID] {
				t.Errorf("%s came twice", m.UUID)
			}
			delete(want, m.UUID)
		}
	}
}

// inTurn is an SQS that notes the work in the order in which it is sent, and whether two requests came at once.
type inTurn struct {
	sending  atomic.Int32
	mu       sync.Mutex
	payloads []string
	atOnce   bool
}

func (s *inTurn) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	var batch struct {
		Entries []struct{ MessageBody string }
	}
	if !strings.HasSuffix(request.Header.Get("X-Amz-Target"), ".SendMessageBatch") || json.Unmarshal(body, &batch) != nil {
		return connections.RoundTrip(request)
	}
	s.mu.Lock()
	s.atOnce = s.sending.Add(1) > 1 || s.atOnce
	for _, e := range batch.Entries {
		s.payloads = append(s.payloads, e.MessageBody)
	}
	s.mu.Unlock()
	defer s.sending.Add(-1)
	time.Sleep(20 * time.Millisecond) // for another to come, which none does
	return connections.RoundTrip(request)
}

// The last pieces of a video are short, so that workers end together: that helps only who takes them last.
func TestWorkIsSentInOrder(t *testing.T) {
	t.Parallel()
	s := &inTurn{}
	o := aws.Options{Config: account(t, backends.AWS(t)), Topics: []aws.Topic{{Name: "work", Work: true, Groups: []aws.Group{{Name: "g"}}}}}
	o.Config.HTTPClient = &http.Client{Transport: s}
	var msgs []*message.Message
	var want []string
	for i := range 35 {
		m := text(strconv.Itoa(i))
		m.Metadata.Set(messaging.MetaPriority, strconv.Itoa(3-i))
		msgs, want = append(msgs, m), append(want, strconv.Itoa(i))
	}
	publish(t, open(t, o), "work", msgs...)
	if !slices.Equal(s.payloads, want) || s.atOnce {
		t.Errorf("sent in the order %s, at once: %t", s.payloads, s.atOnce)
	}
}

// keeping is a client that still reads the body of a request when the answer is there.
type keeping struct{ body io.Reader }

func (k *keeping) Do(r *http.Request) (*http.Response, error) {
	k.body = r.Body
	return connections.RoundTrip(r.Clone(r.Context())) //nolint:wrapcheck // a client of the SDK
}

// net/http may look at the body of a request once more when the answer has begun. If it finds it closed, it drops the
// answer; an answer of SQS that is dropped is messages that nobody has.
func TestBodiesOfRequestsStayOpen(t *testing.T) {
	t.Parallel()
	k := &keeping{}
	o := fast(aws.Options{Config: answering(t, http.StatusForbidden, "AccessDenied")})
	o.Config.HTTPClient = k
	if _, err := aws.Connect(t.Context(), o); err == nil {
		t.Fatal("no error")
	}
	if _, err := io.Copy(io.Discard, k.body); err != nil {
		t.Errorf("the body was closed: %v", err)
	}
}

// refusing is an SNS that has no time for the second message of the first batch.
type refusing struct {
	mu       sync.Mutex
	requests []string // ids of the entries of each batch
}

func (r *refusing) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Action") != "PublishBatch" {
		return connections.RoundTrip(request)
	}
	var ids []string
	for i := 1; form.Has(fmt.Sprintf("PublishBatchRequestEntries.member.%d.Id", i)); i++ {
		ids = append(ids, form.Get(fmt.Sprintf("PublishBatchRequestEntries.member.%d.Id", i)))
	}
	r.mu.Lock()
	r.requests = append(r.requests, strings.Join(ids, " "))
	first := len(r.requests) == 1
	r.mu.Unlock()
	if !first {
		return connections.RoundTrip(request)
	}
	answer := `<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>
		<Successful><member><Id>0</Id><MessageId>m</MessageId></member></Successful>
		<Failed><member><Id>1</Id><Code>InternalError</Code><Message>later</Message><SenderFault>false</SenderFault></member></Failed>
		</PublishBatchResult></PublishBatchResponse>`
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml"}}, Request: request,
		Body: io.NopCloser(strings.NewReader(answer)),
	}, nil
}

func TestOnlyTheRefusedPartOfABatchIsSentAgain(t *testing.T) {
	t.Parallel()
	r := &refusing{}
	o := aws.Options{Config: account(t, backends.AWS(t)), Topics: topic("topic", "g")}
	o.Config.HTTPClient = &http.Client{Transport: r}
	b := open(t, o)
	publish(t, b, "topic", text("stored"), text("refused"))
	if got := strings.Join(r.requests, ", "); got != "0 1, 1" {
		t.Errorf("batches of %s", got)
	}
	if m := wait(t, subscribe(t, b, "g", "topic")); string(m.Payload) != "refused" {
		t.Errorf("got %s", m.Payload)
	}
}

// A server that is away is no reason to give up: the caller may try again.
func TestAServerThatComesBack(t *testing.T) {
	t.Parallel()
	server := backends.StartAWS(t)
	b := open(t, aws.Options{Config: account(t, server.URL), Topics: topic("topic", "g")})
	msgs := subscribe(t, b, "g", "topic")
	publish(t, b, "topic", text("before"))
	wait(t, msgs).Ack()
	server.Stop(t)
	for _, batch := range [][]*message.Message{{text("1")}, {text("1"), text("2")}} {
		if err := publisher(t, b).Publish("topic", batch...); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("publish: %v", err)
		}
	}
	server.Start(t)
	publish(t, b, "topic", text("after"))
	for {
		m := wait(t, msgs)
		m.Ack()
		if string(m.Payload) == "after" {
			return
		}
	}
}

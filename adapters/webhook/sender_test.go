package webhook_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/cinelog/cinelog/adapters/webhook"
	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/webhooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	keyOne = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	keyTwo = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

func newSender(t *testing.T, o webhook.Options) *webhook.Sender {
	t.Helper()
	s := webhook.New(o)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func message() webhooks.Message {
	return webhooks.Message{ID: "e-7", Time: time.Now(), Body: []byte(`{"specversion":"1.0"}`)}
}

func TestMessagesAreSigned(t *testing.T) {
	t.Parallel()
	var got http.Header
	var body []byte
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, body = r.Header, must(io.ReadAll(r.Body))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	roots := x509.NewCertPool()
	roots.AddCert(receiver.Certificate())
	s := newSender(t, webhook.Options{Private: true, TLS: &tls.Config{RootCAs: roots}, UserAgent: "Cinelog/test"})
	if result := s.Send(t.Context(), receiver.URL, []string{keyOne, keyTwo}, message()); result.Err != nil || result.Code != 204 {
		t.Fatal(result)
	}
	for _, key := range []string{keyOne, keyTwo} { // while a secret is replaced both fit
		w, err := standardwebhooks.NewWebhook(key)
		if err == nil {
			err = w.Verify(body, got)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(body, message().Body) || got.Get("Webhook-Id") != "e-7" || got.Get("User-Agent") != "Cinelog/test" ||
		got.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" {
		t.Errorf("%v %s", got, body)
	}
	other := newSender(t, webhook.Options{Private: true})
	if result := other.Send(t.Context(), receiver.URL, []string{keyOne}, message()); result.Err == nil || result.Code != 0 {
		t.Errorf("to a receiver whose certificate nobody signed: %v", result)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// Receivers may do what they like: nothing but a whole answer of 2xx counts, and none takes more than its time.
func TestReceiversThatMisbehave(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer target.Close()
	s := newSender(t, webhook.Options{Private: true})
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		code   int
		ok     bool
		later  time.Duration
	}{
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, http.StatusPermanentRedirect)
		}, 308, false, 0},
		"gone":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, 410, false, 0},
		"busy":          {busy("120"), 503, false, 2 * time.Minute},
		"busy for long": {busy("99999999"), 503, false, 24 * time.Hour},
		"busy with no":  {busy("tomorrow"), 503, false, 0},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("ok"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, 200, false, 0},
		"silent":   {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, false, 0},
		"drips":    {drip, 200, false, 0},
		"1 GB":     {gigabyte, 200, true, 0},
		"headers":  {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, 0, false, 0},
		"no HTTP":  {func(w http.ResponseWriter, _ *http.Request) { hijack(w, "SSH-2.0-OpenSSH\r\n") }, 0, false, 0},
		"hangs up": {func(w http.ResponseWriter, _ *http.Request) { hijack(w, "") }, 0, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				c.answer(w, r)
			}))
			defer receiver.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			result := s.Send(ctx, receiver.URL+"/secret-path", []string{keyOne}, message())
			if result.Code != c.code || (result.Err == nil) != c.ok || result.RetryAfter != c.later {
				t.Errorf("%+v", result)
			}
			if result.Err != nil && strings.Contains(result.Err.Error(), "secret-path") {
				t.Errorf("tells the address: %v", result.Err)
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n > 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

func busy(retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", retryAfter)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// drip sends a byte now and then for as long as somebody listens.
func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := w.Write([]byte("x")); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// gigabyte fails the test's expectation where somebody reads it: that takes longer than there is.
func gigabyte(w http.ResponseWriter, _ *http.Request) {
	some := make([]byte, 1<<20)
	for range 1 << 10 {
		if _, err := w.Write(some); err != nil {
			return
		}
	}
}

func hijack(w http.ResponseWriter, text string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(c, text)
	_ = c.Close()
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	own := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer own.Close()
	s := newSender(t, webhook.Options{Resolver: resolver(t, "93.184.215.14")})
	for _, address := range []string{
		own.URL, "http://93.184.215.14/", "ftp://93.184.215.14/", "//93.184.215.14/", "/path", "https://", "https:opaque", "https://:443/",
		"https://user:secret@93.184.215.14/", "https://user@93.184.215.14/", "https://93.184.215.14/#x", "https://93.184.215.14/#",
		"https://93.184.215.14:22/", "https://93.184.215.14:8443/",
		"https://127.0.0.1/", "https://127.1.2.3:443/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::127.0.0.1]/", "https://0.0.0.0/", "https://[::]/",
		"https://10.0.0.1/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.1.1/", "https://100.64.0.1/", "https://100.127.255.255/",
		"https://169.254.169.254/latest/meta-data/", "https://100.100.100.200/", "https://168.63.129.16/", "https://[fd00:ec2::254]/",
		"https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fc00::1]/", "https://[fd12::1]/", "https://[fec0::1]/", "https://[ff02::1]/",
		"https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/", "https://[2001::1]/", "https://[2001:db8::1]/", "https://[100::1]/",
		"https://192.0.0.1/", "https://192.0.2.1/", "https://198.18.0.1/", "https://198.51.100.1/", "https://203.0.113.1/", "https://224.0.0.1/",
		"https://240.0.0.1/", "https://255.255.255.255/",
	} {
		if err := s.CheckURL(t.Context(), address); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s is taken: %v", address, err)
		}
		if !strings.HasPrefix(address, "https://") || strings.Contains(address, "[fe80::1%") {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if result := s.Send(ctx, address, []string{keyOne}, message()); result.Err == nil || result.Code != 0 || ctx.Err() != nil {
			t.Errorf("%s is sent to: %+v", address, result)
		}
		cancel()
	}
	for _, good := range []string{"https://93.184.215.14/x?y=z", "https://[2606:2800:220:1::1]:443/", "https://hooks.example/", "https://hooks.example:80/"} {
		if err := s.CheckURL(t.Context(), good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if hits.Load() > 0 {
		t.Error("the receiver on this machine was asked")
	}
}

// Spellings of loopback that C libraries understand, and names that lead there.
func TestNamesOfThisMachineAreRefused(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "printer.local", "rebound.example"} {
		s := newSender(t, webhook.Options{Resolver: resolver(t, "127.0.0.1")})
		if err := s.CheckURL(t.Context(), "https://"+host+"/"); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%s is taken: %v", host, err)
		}
	}
	both := newSender(t, webhook.Options{Resolver: resolver(t, "93.184.215.14+10.0.0.1")})
	if err := both.CheckURL(t.Context(), "https://two.example/"); !errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a host with a private address beside a public one is taken: %v", err)
	}
}

// A name that was public when it was registered leads here when it is dialled.
func TestARebindingIsRefusedAtTheDial(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = c.Close()
		}
	}()
	s := newSender(t, webhook.Options{Resolver: resolver(t, "93.184.215.14", "127.0.0.1")})
	const address = "https://rebound.example/"
	if err := s.CheckURL(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	result := s.Send(t.Context(), address, []string{keyOne}, message())
	if result.Err == nil || !strings.Contains(result.Err.Error(), "not public") || connections.Load() > 0 {
		t.Errorf("%+v, %d connections", result, connections.Load())
	}
}

// resolver gives these addresses for any name, one after the other and the last one for ever; "a+b" are two at once.
func resolver(t *testing.T, answers ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		asked := 0
		for buffer := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			reply, isA := dnsReply(buffer[:n], answers[min(asked, len(answers)-1)])
			if isA {
				asked++
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// dnsReply answers a question for addresses of IPv4, and any other with nothing (RFC 1035, 4.1).
func dnsReply(question []byte, addresses string) (reply []byte, isA bool) {
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5
	isA = binary.BigEndian.Uint16(question[end-4:]) == 1
	reply = append([]byte{}, question[:end]...)
	binary.BigEndian.PutUint16(reply[2:], 0x8180)
	copy(reply[6:], make([]byte, 6))
	if !isA {
		return reply, false
	}
	for address := range strings.SplitSeq(addresses, "+") {
		reply[7]++
		ip := netip.MustParseAddr(address).As4()
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, ip[:]...)
	}
	return reply, true
}

func ExampleSender() {
	s := webhook.New(webhook.Options{})
	defer func() { _ = s.Close() }()
	fmt.Println(s.CheckURL(context.Background(), "https://169.254.169.254/latest/meta-data/"))
	// Output: invalid: its host has an address that is not public
}

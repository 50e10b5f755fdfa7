package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

const (
	feedReaders   = 1000
	feedPerSecond = 100
	feedEvents    = 5 * feedPerSecond
)

// BenchmarkLiveFeed has 1,000 readers follow an embedded server over HTTP while 100 videos a second are created, for five
// seconds. Every reader must get every event, in order. The reference is a loop that writes the same bytes to as many bare
// connections, event by event. "lag" is from the answer to a command until a reader has the event, and "KiB_per_reader" is the
// memory of the whole process for each: of the server's side, and of the reader with its two buffers of 4 KiB.
func BenchmarkLiveFeed(b *testing.B) {
	for round := range b.N {
		var frames [][]byte
		var ours, bare fanOut
		inTurns(round,
			func() { ours.feed(b) },
			func() {
				for p := range domain.Position(feedEvents) {
					frames = append(frames, feedFrame(b, p+1))
				}
				bare.bare(b, frames)
			})
		b.ReportMetric(ours.lag(99), "lag_p99_ms")
		b.ReportMetric(ours.lag(50), "lag_p50_ms")
		b.ReportMetric(bare.lag(99), "bare_lag_p99_ms")
		b.ReportMetric(bare.lag(50), "bare_lag_p50_ms")
		b.ReportMetric(ours.cpu.Seconds()/bare.cpu.Seconds(), "cpu_of_bare")
		b.ReportMetric(float64(ours.memory)/1024/feedReaders, "KiB_per_reader")
		b.ReportMetric(float64(bare.memory)/1024/feedReaders, "bare_KiB_per_reader")
	}
}

// fanOut is a number of readers who are told of events, and what came of it.
type fanOut struct {
	appended [feedEvents + 1]atomic.Int64 // when each event was, in nanoseconds
	lags     [1 << 16]atomic.Int64        // how many had it so late, in tenths of a millisecond
	memory   int64
	cpu      time.Duration
}

// lag is the percentile, in milliseconds.
func (f *fanOut) lag(percent int64) float64 {
	left := int64(feedReaders*feedEvents) * percent / 100
	for tenths := range f.lags {
		if left -= f.lags[tenths].Load(); left < 0 {
			return float64(tenths+1) / 10
		}
	}
	return float64(len(f.lags)) / 10
}

func feedVideo(n int) domain.VideoCreated {
	return domain.VideoCreated{Owner: "local", Details: domain.Details{Title: fmt.Sprint("video ", n)}}
}

func feedFrame(b *testing.B, p domain.Position) []byte {
	b.Helper()
	data, err := domain.MarshalShortCloudEvent(domain.Recorded{
		Stream: "0190c0a0-0000-7000-8000-000000000001", Position: p, Version: 1, Time: time.Now(), Event: feedVideo(int(p)),
	})
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Appendf(nil, "id: %d\nevent: video.created.v1\ndata: %s\n\n", p, data)
}

// feed measures our feed.
func (f *fanOut) feed(b *testing.B) {
	b.Helper()
	a, err := openApp(b.Context(), config{
		places: places{Data: b.TempDir()}, roles: []string{roleAPI}, listen: "127.0.0.1:0", log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	hello := "GET /v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
	f.measure(b, a.listener.Addr().String(), hello, func(n int) error {
		r, err := a.service.Create(b.Context(), commands.CreateVideo{Event: feedVideo(n)})
		if err == nil {
			f.appended[r.Position].Store(time.Now().UnixNano())
		}
		return err
	})
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// bare measures connections that are written to, and nothing else.
func (f *fanOut) bare(b *testing.B, frames [][]byte) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var mu sync.Mutex
	var conns []net.Conn
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // until the reader goes, as a server has it
				mu.Lock()
				conns = append(conns, c)
				mu.Unlock()
				_, _ = fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\nid: 0\n\n")
				_, _ = c.Read(make([]byte, 1))
			}()
		}
	}()
	f.measure(b, l.Addr().String(), "", func(n int) error {
		mu.Lock()
		defer mu.Unlock()
		f.appended[n].Store(time.Now().UnixNano())
		for _, c := range conns {
			if _, err := c.Write(frames[n-1]); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range conns {
		_ = c.Close()
	}
}

// measure connects all readers, then has the events appended, one after the other at their pace, until all readers have all.
func (f *fanOut) measure(b *testing.B, address, hello string, add func(n int) error) {
	b.Helper()
	before := memoryInUse()
	var connected, reading sync.WaitGroup
	connected.Add(feedReaders)
	for range feedReaders {
		reading.Go(func() {
			if err := f.read(b.Context(), address, hello, connected.Done); err != nil {
				b.Error(err)
			}
		})
	}
	connected.Wait()
	cpu := ownCPU(b)
	tick := time.NewTicker(time.Second / feedPerSecond)
	defer tick.Stop()
	for n := range feedEvents {
		<-tick.C
		if n == feedEvents*9/10 { // under way
			f.memory = memoryInUse() - before
		}
		if err := add(n + 1); err != nil {
			b.Fatal(err)
		}
	}
	reading.Wait()
	f.cpu = ownCPU(b) - cpu
}

// ownCPU is the CPU time of this process until now.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memoryInUse is what the process's goroutines hold on to.
func memoryInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// read is one reader: it must get events 1 to feedEvents, in this order.
func (f *fanOut) read(ctx context.Context, address, hello string, connected func()) error {
	var once sync.Once
	defer once.Do(connected) // whatever happens
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	if _, err := c.Write([]byte(hello)); err != nil {
		_ = c.Close()
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 4096), nil)
	if err != nil {
		_ = c.Close()
		return err
	}
	defer func() {
		_ = c.Close() // first, or the other would read to the end of what has none
		_ = resp.Body.Close()
	}()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("a reader was answered %d", resp.StatusCode)
	}
	in := bufio.NewReaderSize(resp.Body, 4096)
	last, id := 0, 0
	for last < feedEvents {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("after %d: %w", last, err)
		}
		if number, ok := bytes.CutPrefix(line, []byte("id: ")); ok {
			if id, err = strconv.Atoi(string(number[:len(number)-1])); err != nil {
				return err
			}
			once.Do(connected)
		}
		if !bytes.HasPrefix(line, []byte("data: ")) {
			continue
		}
		if id != last+1 {
			return fmt.Errorf("event %d came after %d", id, last)
		}
		last = id
		lag := time.Duration(time.Now().UnixNano() - f.appended[id].Load())
		if lag < 0 || f.appended[id].Load() == 0 { // it was faster than the answer to the command
			lag = 0
		}
		f.lags[min(lag/(time.Millisecond/10), time.Duration(len(f.lags)-1))].Add(1)
	}
	return nil
}

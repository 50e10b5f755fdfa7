package mongo_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a driver and its server and can lose an answer.
type proxy struct {
	server string

	mu     sync.Mutex
	marker []byte // whatever says this is the last thing that gets through on its connection
	open   map[net.Conn]bool
}

// throughProxy returns the address of a database through a proxy.
func throughProxy(t *testing.T, uri string) (string, *proxy) {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host, open: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for c := range p.open {
			_ = c.Close()
		}
		p.mu.Unlock()
		wg.Wait()
	})
	u.Host = l.Addr().String()
	return u.String(), p
}

// swallow loses the answer to the next message that contains this, and its connection.
func (p *proxy) swallow(marker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marker = []byte(marker)
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.open[client], p.open[server] = true, true
	p.mu.Unlock()
	lost := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			select {
			case <-lost: // it has answered: so it has done it
				_ = client.Close()
				return
			default:
			}
			if _, werr := client.Write(buffer[:n]); err != nil || werr != nil {
				_ = client.Close()
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		p.mu.Lock()
		if len(p.marker) > 0 && bytes.Contains(buffer[:n], p.marker) {
			close(lost)
			p.marker = nil
		}
		p.mu.Unlock()
		if n > 0 {
			if _, werr := server.Write(buffer[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			break
		}
	}
	_ = server.Close()
	<-done
	p.mu.Lock()
	delete(p.open, client)
	delete(p.open, server)
	p.mu.Unlock()
}

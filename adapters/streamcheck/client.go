package streamcheck

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"syscall"
)

// newClient follows few redirects, stays with http, and reaches private addresses only of the host that the user named:
// a playlist from elsewhere must not make this machine ask its neighbours.
func newClient(host string) *http.Client {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: dialTimeout, Control: func(_, ip string, _ syscall.RawConn) error {
			name, _, err := net.SplitHostPort(address)
			if err != nil {
				return fmt.Errorf("dial %s: %w", address, err)
			}
			numbers, _, _ := net.SplitHostPort(ip)
			if name != host && !public(net.ParseIP(numbers)) {
				return fmt.Errorf("%w: %s is a private address", errPlace, address)
			}
			return nil
		}}
		return d.DialContext(ctx, network, address)
	}
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			DialContext: dial, DisableCompression: true, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: atOnce,
			IdleConnTimeout: requestTimeout, TLSHandshakeTimeout: dialTimeout,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || (r.URL.Scheme != "http" && r.URL.Scheme != "https") {
				return fmt.Errorf("%w: redirected to %s", errPlace, r.URL.Redacted())
			}
			return nil
		},
	}
}

func public(ip net.IP) bool {
	return ip != nil && ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
}

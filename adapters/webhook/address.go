package webhook

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cinelog/cinelog/domain"
)

// lookupTime bounds the look at a name when an endpoint is registered.
const lookupTime = 5 * time.Second

// CheckURL says whether an address may be sent to, as far as can be told now: what is dialled is looked at again each
// time. ErrInvalid says what is wrong.
func (s *Sender) CheckURL(ctx context.Context, address string) error {
	u, err := s.parse(address)
	if err != nil {
		return err
	}
	if s.private {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := s.resolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return fmt.Errorf("%w: its host cannot be found", domain.ErrInvalid)
	}
	for _, ip := range found {
		if !public(ip) {
			return fmt.Errorf("%w: its host has an address that is not public", domain.ErrInvalid)
		}
	}
	return nil
}

// parse checks what can be seen in the address itself.
func (s *Sender) parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	refuse := func(why string) (*url.URL, error) { return nil, fmt.Errorf("%w: %s", domain.ErrInvalid, why) }
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return refuse("it must look like https://host/path")
	case u.Scheme != "https" && (u.Scheme != "http" || !s.private):
		return refuse("it must begin with https://")
	case u.User != nil:
		return refuse("it must have no user name or password")
	case u.Fragment != "" || strings.Contains(address, "#"):
		return refuse("it must have no fragment")
	case s.private:
		return u, nil
	case u.Port() != "" && !publicPort(u.Port()):
		return refuse("its port must be 443 or 80")
	}
	return u, nil
}

func publicPort(port string) bool { return port == "443" || port == "80" }

// control looks at the address that is about to be dialled: a name may lead elsewhere than when it was looked at.
func (s *Sender) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	if s.private {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !public(ip) || !publicPort(port) {
		return errRefused
	}
	return nil
}

// public says whether an address is one of the Internet at large: none of this machine, of its network, of a cloud's
// metadata, or one that another network translates into such.
func public(ip netip.Addr) bool {
	if ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	if ip.Is4() {
		return !slices.ContainsFunc(closed4(), func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	return netip.MustParsePrefix("2000::/3").Contains(ip) &&
		!slices.ContainsFunc(closed6(), func(p netip.Prefix) bool { return p.Contains(ip) })
}

// closed4 are the blocks of IPv4 that are not for everybody (IANA's registry of special-purpose addresses).
func closed4() []netip.Prefix {
	return prefixes(
		"0.0.0.0/8",        // this network
		"10.0.0.0/8",       // private
		"100.64.0.0/10",    // behind a provider's NAT; one cloud's metadata
		"127.0.0.0/8",      // loopback
		"168.63.129.16/32", // Azure's own server, though the address is public
		"169.254.0.0/16",   // link-local, metadata of clouds
		"172.16.0.0/12",    // private
		"192.0.0.0/24",     // protocols
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // 6to4 relays
		"192.168.0.0/16",   // private
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"224.0.0.0/4",      // multicast
		"240.0.0.0/4",      // reserved, broadcast
	)
}

// closed6 are those of 2000::/3, which is all of IPv6 that is given out: not 64:ff9b::/96 (NAT64), fc00::/7, fe80::/10 ...
func closed6() []netip.Prefix {
	return prefixes(
		"2001::/23",     // protocols, Teredo
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4: an IPv4 address within
		"3fff::/20",     // documentation
	)
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

package streamcheck

import (
	"net/url"
)

// manifest is an MPD.
type manifest struct {
	file    string
	address string
	seconds float64
}

func readManifest(file string, address *url.URL, text []byte, r *response) (*manifest, error) {
	return &manifest{file: file, address: address.String()}, nil
}

func (m *manifest) segments() []*segment { return nil }
func manifestRules() []rule              { return nil }

package projections

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

const maxCursor = 4096

// cursor is a Place with a sum over it and the query that it belongs to. The sum keeps mistakes out, not attackers:
// a place is nothing secret, and a forged one only begins the page elsewhere.
type cursor struct {
	Place

	Sum []byte `json:"s"`
}

// Cursor names the place after an item of this query.
func (s Search) Cursor(p Place) (string, error) {
	sum, err := s.sum(p)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(cursor{Place: p, Sum: sum})
	return base64.RawURLEncoding.EncodeToString(b), err
}

func (s Search) readCursor() (Place, bool) {
	if len(s.Query.Cursor) > maxCursor {
		return Place{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s.Query.Cursor)
	if err != nil {
		return Place{}, false
	}
	var c cursor
	if err := json.Unmarshal(b, &c); err != nil {
		return Place{}, false
	}
	sum, err := s.sum(c.Place)
	if err != nil || !bytes.Equal(sum, c.Sum) || c.Level < 0 || c.Level >= Levels {
		return Place{}, false
	}
	return c.Place, true
}

// sum covers everything that says which results there are and in which order; the size of a page and the facets may
// change on the way.
func (s Search) sum(p Place) ([]byte, error) {
	q := s.Query
	q.Limit, q.Cursor, q.Facets, q.Sort = 0, "", nil, s.Sort
	q.CreatedAfter, q.CreatedBefore = q.CreatedAfter.UTC(), q.CreatedBefore.UTC()
	b, err := json.Marshal(struct {
		Query Query
		Place Place
	}{q, p})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return sum[:9], nil
}

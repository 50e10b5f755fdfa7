package web

import (
	"container/list"
	"sync"
)

// byteCache keeps what was used last, up to a number of bytes.
type byteCache struct {
	mu    sync.Mutex
	limit int
	bytes int
	order *list.List // of cached, the last used first
	byKey map[string]*list.Element
}

type cached struct {
	key  string
	data []byte
}

func newByteCache(limit int) *byteCache {
	return &byteCache{limit: limit, order: list.New(), byKey: map[string]*list.Element{}}
}

func (c *byteCache) get(key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(cached).data, true //nolint:forcetypeassert // there is nothing else in it
}

func (c *byteCache) put(key string, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok || len(data) > c.limit {
		return
	}
	c.byKey[key] = c.order.PushFront(cached{key, data})
	c.bytes += len(data)
	for c.bytes > c.limit {
		last := c.order.Back()
		gone := c.order.Remove(last).(cached) //nolint:forcetypeassert // there is nothing else in it
		delete(c.byKey, gone.key)
		c.bytes -= len(gone.data)
	}
}

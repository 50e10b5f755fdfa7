package projections

// rowsOfAnAge bounds the rows that a read model remembers between batches. Those that are remembered stay in memory for
// long, and the garbage collector looks at each of them, again and again.
const rowsOfAnAge = 2_000

// remembered are the rows that were asked for of late: when there are many of them, those are forgotten that nobody has
// asked for since there were as many before.
type remembered[R any] struct{ now, before map[string]R }

func (c *remembered[R]) get(key string) (row R, ok bool) {
	row, ok = c.now[key]
	if !ok {
		if row, ok = c.before[key]; ok {
			c.now[key] = row
		}
	}
	return row, ok
}

func (c *remembered[R]) put(key string, row R) { c.now[key] = row }

// age forgets, where there is too much to remember. Rows that are in work must not be forgotten: it is for the time between.
func (c *remembered[R]) age() {
	if len(c.now) > rowsOfAnAge {
		c.now, c.before = map[string]R{}, c.now
	}
}

func (c *remembered[R]) clear() {
	clear(c.now)
	c.before = nil
}

// each calls f for the keys of all.
func (c *remembered[R]) each(f func(key string)) {
	for key := range c.now {
		f(key)
	}
	for key := range c.before {
		f(key)
	}
}

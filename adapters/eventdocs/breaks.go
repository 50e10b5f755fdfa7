package eventdocs

import (
	"fmt"
	"slices"
	"strings"
)

// WhatToDo is for whoever made a change that breaks subscribers, or events that were written before.
const WhatToDo = "an event's version is for ever: leave it as it is and make a new version (a type that ends in the next .vN, " +
	"its own case in domain.EventType and domain.DecodeEvent, a sample in domain/testdata/events), " +
	"and let domain.DecodeEvent turn the old version into the new Go type (an upcaster)"

// Breaks says in which ways data that fits the new schema may surprise a reader of the old one, or data of the old one
// does not fit the new one: fields removed, renamed, of another type, required from now on or no longer, values of an
// enumeration taken away. New fields that may be missing, new values and other words are no surprise: readers are told to
// expect them.
func Breaks(was, is *Schema) []string {
	c := comparison{was: was, is: is, seen: map[[2]*Schema]bool{}}
	c.compare("data", was, is)
	return c.found
}

type comparison struct {
	was, is *Schema
	seen    map[[2]*Schema]bool
	found   []string
}

func (c *comparison) compare(path string, was, is *Schema) {
	was, is = resolve(c.was, was), resolve(c.is, is)
	if c.seen[[2]*Schema{was, is}] {
		return
	}
	c.seen[[2]*Schema{was, is}] = true
	find := func(format string, args ...any) {
		c.found = append(c.found, path+" "+fmt.Sprintf(format, args...))
	}
	if !slices.Equal(was.Type, is.Type) {
		find("was of type %s and is of type %s", strings.Join(was.Type, " or "), strings.Join(is.Type, " or "))
		return
	}
	if was.Unit != is.Unit && was.Unit != "" {
		find("was in %s and is in %s", was.Unit, is.Unit)
	}
	for _, v := range was.Enum {
		if len(is.Enum) > 0 && !slices.Contains(is.Enum, v) {
			find("may no longer be %q", v)
		}
	}
	if len(was.Enum) == 0 && len(is.Enum) > 0 {
		find("was any text and is one of %q", is.Enum)
	}
	if is.Minimum != nil && (was.Minimum == nil || *was.Minimum < *is.Minimum) {
		find("has a new minimum: %d", *is.Minimum)
	}
	for _, p := range was.Properties {
		if now := is.Properties.get(p.name); now != nil {
			c.compare(path+"."+p.name, p.schema, now)
		} else {
			find("has no field %q any longer (removed or renamed)", p.name)
		}
	}
	for _, name := range is.Required {
		if !slices.Contains(was.Required, name) {
			find("requires the field %q, which events that were written before do not have", name)
		}
	}
	for _, name := range was.Required {
		if !slices.Contains(is.Required, name) && is.Properties.get(name) != nil {
			find("may leave out the field %q, which readers rely on", name)
		}
	}
	both := func(path string, was, is *Schema) {
		if was != nil && is != nil {
			c.compare(path, was, is)
		} else if was != nil || is != nil {
			find("holds something else")
		}
	}
	both(path+"[]", was.Items, is.Items)
	both(path+".*", was.Additional, is.Additional)
}

// resolve follows a reference within a document.
func resolve(document, s *Schema) *Schema {
	if s.Ref == "" {
		return s
	}
	to := document.Defs.get(strings.TrimPrefix(s.Ref, "#/$defs/"))
	if to == nil {
		return s
	}
	if s.Unit != "" && to.Unit == "" {
		with := *to
		with.Unit = s.Unit
		return &with
	}
	return to
}

// Package eventdocs writes the catalogue of events for those outside: a JSON Schema (draft 2020-12) for each version of
// each event, and an AsyncAPI 3 document of the ways on which they travel. Types, fields and enumerations come from the
// Go types of package domain, descriptions and units from the comments beside them, so that the catalogue cannot say
// anything else than the code does. It may import domain, no other adapter.
package eventdocs

//go:generate go run ../../cmd/eventdocs

// Package web is the HTTP side: the routes (routes.go, on one screen), the handlers by subject, the one map from errors
// to statuses (errors.go) and the page (ui). It turns requests into commands and queries and their results into the
// shapes of the API; no rule about a video stands here. It imports domain, commands and projections, and no adapter.
package web

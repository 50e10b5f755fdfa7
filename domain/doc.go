// Package domain is the heart of Cinelog: the events, how they are written down, what a video is and which decisions
// may be taken about it, and the ladder of renditions. It is pure: no clock, no I/O, no goroutine. It imports the
// standard library and uuid only, and everything else in the project imports it.
package domain

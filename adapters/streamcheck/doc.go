// Package streamcheck holds what is served against the rules of streaming: HLS playlists against RFC 8216 and Apple's
// HLS Authoring Specification, MPEG-DASH manifests against ISO/IEC 23009-1, and both against the media that they name.
// It believes no text: what a playlist says of its media is compared with the boxes and samples of the media.
//
// The rules are a table, in rules.go. The package reads what others wrote and decides nothing; it imports none of ours.
package streamcheck

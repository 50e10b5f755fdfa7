// Package ffmpeg measures and encodes videos with FFmpeg, which it treats as untrusted: it runs in a cage, gets one
// input file and no network, and writes nothing but pipes that this package drains, checks and cuts into segments.
//
// It may import commands and domain, and no other adapter.
package ffmpeg

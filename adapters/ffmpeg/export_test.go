package ffmpeg

import "io"

// SplitFragments, CodecString and the rest open to the tests what an untrusted process's bytes go through.
func SplitFragments(r io.Reader) (init []byte, samples int, err error) {
	err = splitFragments(r, func(b []byte) error { init = b; return nil }, func(f *fragment) error {
		samples += len(f.samples)
		return f.retime(7, 1<<40, f.samples[0].offset)
	})
	return init, samples, err
}

// CodecString is codecString.
func CodecString(init []byte) (string, error) { return codecString(init) }

// Timescale is timescale.
func Timescale(init []byte) (uint32, error) { return timescale(init) }

// Sniff is sniff, by the demuxer it chose.
func Sniff(path string) (string, error) {
	c, err := sniff(path)
	return c.demuxer, err
}

// Clean is clean.
func Clean(b []byte) string { return clean(b) }

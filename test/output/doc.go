// Package output holds what was made of a source against the source itself, with FFmpeg's own decoders and nothing of
// ours: every picture decodes and has its time, the film is as long as the source, stands upright, looks like it, and its
// sound comes when it came. It is for tests, of the encoder and of a whole server, and imports the domain only.
package output

// Package commands is the write side: it loads a video's events, lets domain decide, and appends what follows. It also
// holds the Transcoding policy (reacts to events with commands and tasks) and the Worker (does the tasks). It declares
// the ports it needs and knows no technology: no SQL, no HTTP, no FFmpeg.
package commands

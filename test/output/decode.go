package output

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// film is what decoders make of an input, with times in seconds from its beginning.
type film struct {
	pictures []moment
	sound    []moment
	lastFor  float64 // seconds that the last picture is shown, as the container says; 0 when it does not
}

// moment is a picture, or a run of samples.
type moment struct {
	at, lasts float64
	sum       string // of its bytes
}

// seconds is how long it really lasts: until its last picture or sample ends.
func (f film) seconds() float64 {
	end := 0.0
	for _, s := range f.sound {
		end = max(end, s.at+s.lasts)
	}
	if n := len(f.pictures); n > 0 {
		last := f.pictures[n-1]
		end = max(end, last.at+max(f.lastFor, f.usual()))
	}
	return end
}

// usual is the usual time from picture to picture.
func (f film) usual() float64 {
	var gaps []float64
	for i := 1; i < len(f.pictures); i++ {
		gaps = append(gaps, f.pictures[i].at-f.pictures[i-1].at)
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// decode decodes all of the pictures of an input, and one track of sound if it is not negative. A strict one takes no word
// of complaint.
func decode(ctx context.Context, input string, track int, strict bool) (film, error) {
	args := []string{"-nostdin", "-v", "error"}
	if strict {
		args = append(args, "-xerror")
	}
	args = append(args, "-autorotate", "0", "-i", name(input), "-map", "0:V:0")
	if track >= 0 {
		args = append(args, "-map", "0:"+strconv.Itoa(track))
	}
	out, complaints, err := run(ctx, append(args, "-vsync", "passthrough", "-enc_time_base", "-1", "-f", "framecrc", "-")...)
	if err != nil {
		return film{}, err
	}
	if strict && complaints != "" {
		return film{}, fmt.Errorf("decoding it says: %.300s", complaints)
	}
	f, err := readSums(out)
	if err == nil {
		f.lastFor, err = lastFor(ctx, input)
	}
	return f, err
}

// lastFor reads how long the picture is shown that is shown last.
func lastFor(ctx context.Context, input string) (seconds float64, err error) {
	//nolint:gosec // in tests, with their own files
	out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-select_streams", "V:0",
		"-show_entries", "packet=pts_time,duration_time,flags", "-of", "csv=p=0", name(input)).Output()
	if err != nil {
		return 0, fmt.Errorf("list the packets: %w", err)
	}
	latest := math.Inf(-1)
	for line := range strings.Lines(string(out)) {
		cells := strings.Split(strings.TrimSpace(line), ",") // "1.234000,0.033333,K_"
		if len(cells) < 3 || strings.Contains(cells[2], "D") {
			continue
		}
		at, err := strconv.ParseFloat(cells[0], 64)
		if err != nil || at < latest {
			continue
		}
		latest = at
		seconds, _ = strconv.ParseFloat(cells[1], 64) // "N/A" is 0
	}
	return seconds, nil
}

// readSums reads "0, 512, 512, 512, 37500, 0x1c1a1b1c" and the time bases before it.
func readSums(out []byte) (f film, err error) {
	bases := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		if base, ok := strings.CutPrefix(line, "#tb "); ok {
			stream, ratio, _ := strings.Cut(strings.TrimSpace(base), ": ")
			num, den, _ := strings.Cut(ratio, "/")
			a, errA := strconv.ParseFloat(num, 64)
			b, errB := strconv.ParseFloat(den, 64)
			if errA != nil || errB != nil || b == 0 {
				return film{}, fmt.Errorf("FFmpeg's time base is %q", ratio)
			}
			bases[stream] = a / b
		}
		cells := strings.Split(line, ",")
		if line[0] == '#' || len(cells) < 6 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		at, errAt := strconv.ParseFloat(cells[2], 64)
		lasts, errLasts := strconv.ParseFloat(cells[3], 64)
		if errAt != nil || errLasts != nil {
			return film{}, fmt.Errorf("FFmpeg says %q", line)
		}
		m := moment{at: at * bases[cells[0]], lasts: lasts * bases[cells[0]], sum: cells[5]}
		if cells[0] == "0" {
			f.pictures = append(f.pictures, m)
		} else {
			f.sound = append(f.sound, m)
		}
	}
	return f, nil
}

// describe says what ffprobe reads of the first track of pictures.
func describe(ctx context.Context, input string) (map[string]string, error) {
	//nolint:gosec // in tests, with their own files
	out, err := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-select_streams", "V:0", "-show_streams", "-of", "default=nw=1", name(input)).Output()
	if err != nil {
		return nil, fmt.Errorf("describe it: %w", err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			fields[key] = value
		}
	}
	return fields, nil
}

// name keeps file names that begin with a dash from being options.
func name(input string) string {
	if strings.Contains(input, "://") {
		return input
	}
	return "file:" + input
}

func run(ctx context.Context, args ...string) (out []byte, complaints string, err error) {
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, "", fmt.Errorf("ffmpeg %s: %w: %.500s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.Bytes(), strings.TrimSpace(stderr.String()), nil
}

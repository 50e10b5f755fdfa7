package output

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/cinelog/cinelog/domain"
)

const (
	// side is of the small pictures whose place is compared.
	side = 64
	// alike is the correlation from which on a picture and its mirror image cannot be told apart.
	alike = 0.9
	// flat is the deviation, in steps of 256, below which a picture has nothing to see.
	flat = 2
	// worse is by how much a picture may be less similar than all are on the average: one that is out of its place is far less.
	worse = 0.1
)

// look compares the top rung picture by picture with the source, and a picture of the lowest rung as it stands, turned and
// mirrored. FFmpeg turns the source by itself.
func (m Made) look(ctx context.Context, rungs []domain.Rung, floor float64, f *Figures) (wrong []string) {
	top, low := rungs[0], rungs[len(rungs)-1]
	middle := m.Chunk.Frames / 2
	var before string
	if m.Info.Interlaced {
		before = "bwdif=mode=send_frame,"
	}
	if m.Info.Alpha {
		before += "premultiply=inplace=1,"
	}
	small := fmt.Sprintf(`select=eq(n\,%d),scale=%d:%d:flags=area,format=gray,settb=1/25,setpts=N`, middle, side, side)
	graph := fmt.Sprintf("[0:V:0]%sfps=%s:start_time=0,tpad=stop=-1:stop_mode=clone,trim=start_frame=%d:end_frame=%d,settb=1/25,setpts=N,split[s][t];"+
		"[s]scale=%d:%d:flags=bicubic:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[a];[1:V:0]settb=1/25,setpts=N[b];[b][a]ssim=stats_file=-[c];"+
		"[t]%s[d];[2:V:0]%s[e];[d][e]vstack[g]",
		before, m.Plan.FrameRate, m.Chunk.Start, m.Chunk.Start+m.Chunk.Frames, top.Width, top.Height, small, small)
	image, err := os.CreateTemp("", "middle-*.gray")
	if err != nil {
		return []string{err.Error()}
	}
	defer os.Remove(image.Name())
	defer image.Close()
	// With a shift, however little, FFmpeg counts from the first packet of the file and not of the pictures.
	lines, _, err := run(ctx, "-nostdin", "-v", "error", "-y", "-itsoffset", "0.000001", "-i", name(m.Source), "-i", name(m.Renditions[top.Name]), "-i", name(m.Renditions[low.Name]),
		"-filter_complex", graph, "-map", "[c]", "-f", "null", "-", "-map", "[g]", "-frames:v", "1", "-f", "rawvideo", image.Name())
	if err != nil {
		return []string{err.Error()}
	}
	raw, err := io.ReadAll(image)
	if err != nil || len(raw) != 2*side*side {
		return []string{fmt.Sprintf("%s: %d bytes of a picture to compare: %v", low.Name, len(raw), err)}
	}
	n := readSimilarity(string(lines), f)
	if n != m.Chunk.Frames {
		wrong = append(wrong, fmt.Sprintf("%s: %d of %d pictures could be compared", top.Name, n, m.Chunk.Frames))
	}
	if f.Luma < floor {
		wrong = append(wrong, fmt.Sprintf("%s: the SSIM with the source is %.4f, less than %.2f", top.Name, f.Luma, floor))
	}
	if f.Worst < floor-worse {
		wrong = append(wrong, fmt.Sprintf("%s: the least similar picture, number %d, has an SSIM of %.4f with the source", top.Name, f.Least, f.Worst))
	}
	return append(wrong, m.upright(raw[:side*side], raw[side*side:], low.Name, f)...)
}

// readSimilarity reads "n:1 Y:0.98 U:0.99 V:0.99 All:0.98 (17.9)" and returns how many lines there are.
func readSimilarity(lines string, f *Figures) (n int) {
	f.Worst = 1
	for line := range strings.Lines(lines) {
		fields := map[string]float64{}
		for cell := range strings.FieldsSeq(line) {
			if key, value, ok := strings.Cut(cell, ":"); ok {
				fields[key], _ = strconv.ParseFloat(value, 64)
			}
		}
		if _, ok := fields["All"]; !ok {
			continue
		}
		n++
		f.Luma += fields["Y"]
		f.All += fields["All"]
		if fields["Y"] < f.Worst {
			f.Least, f.Worst = n-1, fields["Y"]
		}
	}
	f.Luma, f.All = f.Luma/float64(max(1, n)), f.All/float64(max(1, n))
	return n
}

// upright compares a picture with the source's in all eight ways that it can lie.
func (m Made) upright(want, got []byte, rung string, f *Figures) (wrong []string) {
	source := gray(want)
	if deviation(source) < flat {
		f.Upright = math.NaN()
		return nil
	}
	made := gray(got)
	f.Upright, f.Turned = correlation(source, made), -1
	if f.Upright < alike {
		wrong = append(wrong, fmt.Sprintf("%s: the picture in the middle is not the source's (%.2f)", rung, f.Upright))
	}
	for quarters := range 4 {
		for _, mirrored := range []bool{false, true} {
			if quarters == 0 && !mirrored {
				continue
			}
			other := turned(source, quarters, mirrored)
			if correlation(source, other) > alike {
				continue // nobody sees the difference
			}
			c := correlation(other, made)
			f.Turned = max(f.Turned, c)
			if c > f.Upright-0.05 {
				wrong = append(wrong, fmt.Sprintf("%s: it looks turned by %d quarters, mirrored %t (%.2f, upright %.2f)", rung, quarters, mirrored, c, f.Upright))
			}
		}
	}
	return wrong
}

func gray(b []byte) []float64 {
	g := make([]float64, len(b))
	for i, v := range b {
		g[i] = float64(v)
	}
	return g
}

// turned turns a square clockwise.
func turned(p []float64, quarters int, mirrored bool) []float64 {
	for range quarters {
		q := make([]float64, len(p))
		for y := range side {
			for x := range side {
				q[x*side+side-1-y] = p[y*side+x]
			}
		}
		p = q
	}
	if !mirrored {
		return p
	}
	q := make([]float64, len(p))
	for y := range side {
		for x := range side {
			q[y*side+side-1-x] = p[y*side+x]
		}
	}
	return q
}

func mean(p []float64) float64 {
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	return sum / float64(len(p))
}

func deviation(p []float64) float64 {
	m, sum := mean(p), 0.0
	for _, v := range p {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(len(p)))
}

// correlation is Pearson's.
func correlation(a, b []float64) float64 {
	ma, mb, ab := mean(a), mean(b), 0.0
	for i := range a {
		ab += (a[i] - ma) * (b[i] - mb)
	}
	return ab / float64(len(a)) / max(deviation(a)*deviation(b), 1e-9)
}

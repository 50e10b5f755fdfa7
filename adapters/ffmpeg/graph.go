package ffmpeg

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cinelog/cinelog/commands"
	"github.com/cinelog/cinelog/domain"
)

// posterWidth and posterFrames bound what a poster costs: so many small frames are compared.
const (
	posterWidth  = 1280
	posterFrames = 8
)

// graph writes the filter graph of a chunk: one decode, one pass over the grid, all rungs and the poster from it. Its
// outputs are [v0], [v1] ... and, with a poster, [poster], which goes to the pipe free and its time to the next one.
//
// The pipe behind those hears of every frame that comes in: with slow filters (tone mapping on floats in 4K) it takes
// minutes until the first fragment comes out, and FFmpeg's -progress is quiet until all outputs have begun.
//
// The source is sought a keyframe early and not cut exactly (-noaccurate_seek): its frames before the chunk then have
// negative times, fps drops them, and what it has to hold over from before the chunk it has seen. So a chunk begins with
// the very frame that the whole encode has there, also where the rate varies.
func graph(job commands.ChunkJob, p probe, free int) string {
	plan, chunk, src := job.Plan, job.Plan.Chunks[job.Chunk], job.Source
	posterTimes, life := free+1, free
	if job.Poster {
		life = free + 2
	}
	steps := []string{"metadata=mode=add:key=life:value=1", fmt.Sprintf(`metadata=mode=print:key=life:file=pipe\\:%d:direct=1`, life)}
	if src.Interlaced {
		steps = append(steps, "bwdif=mode=send_frame")
	}
	steps = append(steps, fmt.Sprintf("fps=%s:start_time=0", plan.FrameRate))
	if job.Chunk == len(plan.Chunks)-1 || src.NoSeek == soundGoesOn {
		steps = append(steps, "tpad=stop=-1:stop_mode=clone") // sound may go on after the picture
	}
	skip := 0
	if plan.NoSeek != "" { // then the source was read from its start on
		skip = chunk.Start
	}
	steps = append(steps, fmt.Sprintf("trim=start_frame=%d:end_frame=%d", skip, skip+chunk.Frames), "setpts=N")
	steps = append(steps, p.video.upright()...)
	steps = append(steps, colours(src, p, plan.Encoded()[0])...)

	poster := ""
	if job.Poster {
		every := max(1, int(math.Round(plan.FrameRate.Float()/2)))
		w, h := posterSize(plan.Encoded()[0])
		steps = append(steps, "split=2[sp]")
		poster = fmt.Sprintf(`;[sp]trim=end_frame=%d,select=not(mod(n\,%d)),scale=%d:%d:flags=bicubic:out_color_matrix=bt601:out_range=pc,`+
			`setsar=1,format=yuvj420p,thumbnail=%d,metadata=mode=add:key=poster:value=1,metadata=mode=print:file=pipe\\:%d:direct=1[poster]`,
			every*posterFrames, every, w, h, posterFrames, posterTimes)
	}
	return fmt.Sprintf("[0:%d]%s[f0]%s%s", p.video.Index, strings.Join(steps, ","), scaled(plan.Encoded()), poster)
}

// scaled makes the pictures of [f0] as large as each rung's. Each size is made from the next larger one, which takes half
// the time of making each from the source (an eighth of a whole encode) and costs 0.0013 of SSIM in the smallest rung at
// most; rungs of one size share its pictures.
func scaled(rungs []domain.Rung) string {
	type size struct{ width, height int }
	var sizes []size
	of := map[size][]int{}
	for i, r := range rungs {
		s := size{r.Width, r.Height}
		if of[s] == nil {
			sizes = append(sizes, s)
		}
		of[s] = append(of[s], i)
	}
	slices.SortStableFunc(sizes, func(a, b size) int { return b.width*b.height - a.width*a.height })
	var g strings.Builder
	for n, s := range sizes {
		fmt.Fprintf(&g, ";[f%d]scale=%d:%d:flags=bicubic", n, s.width, s.height)
		if n == 0 {
			g.WriteString(":out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p")
		} else {
			g.WriteString(",setsar=1")
		}
		var outs strings.Builder
		for _, i := range of[s] {
			fmt.Fprintf(&outs, "[v%d]", i)
		}
		branches := len(of[s])
		if n < len(sizes)-1 {
			fmt.Fprintf(&outs, "[f%d]", n+1)
			branches++
		}
		if branches > 1 {
			fmt.Fprintf(&g, ",split=%d", branches)
		}
		g.WriteString(outs.String())
	}
	return g.String()
}

func posterSize(top domain.Rung) (w, h int) {
	if top.Width <= posterWidth {
		return top.Width, top.Height
	}
	return posterWidth, max(2, 2*int(math.Round(float64(top.Height)*posterWidth/float64(top.Width)/2)))
}

// colours brings whatever the source has to SDR that says what it is. Tone mapping works on floats, so the picture is
// made as small as the top rung first.
func colours(src domain.SourceInfo, p probe, top domain.Rung) []string {
	if src.Transfer == domain.PQ || src.Transfer == domain.HLG {
		transfer := map[domain.Transfer]string{domain.PQ: "smpte2084", domain.HLG: "arib-std-b67"}[src.Transfer]
		return []string{
			fmt.Sprintf("scale=%d:%d:flags=bicubic:out_range=tv", top.Width, top.Height),
			"format=yuv420p10le",
			// What the file says of its colours besides may be missing, and then zscale finds no way.
			"setparams=range=tv:colorspace=bt2020nc:color_primaries=bt2020:color_trc=" + transfer,
			"zscale=t=linear:npl=100",
			"format=gbrpf32le", "zscale=p=bt709", "tonemap=hable:desat=0", "zscale=t=bt709:m=bt709:p=bt709:r=tv", "format=yuv420p",
		}
	}
	var steps []string
	if src.Alpha {
		steps = append(steps, "premultiply=inplace=1") // on black
	}
	if p.video.Matrix == "" || p.video.Matrix == "unknown" {
		// Untagged: FFmpeg would take BT.601; everybody else takes BT.709 for HD.
		matrix := "smpte170m"
		if src.Height >= 720 || src.Width >= 1280 {
			matrix = "bt709"
		}
		if !strings.HasPrefix(p.video.PixelFormat, "rgb") && !strings.HasPrefix(p.video.PixelFormat, "bgr") && !strings.HasPrefix(p.video.PixelFormat, "gbr") {
			steps = append(steps, "setparams=colorspace="+matrix)
		}
	}
	return steps
}

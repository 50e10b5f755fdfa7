package output_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cinelog/cinelog/domain"
	"github.com/cinelog/cinelog/test/output"
)

// What is made right has nothing wrong, and each thing that is made wrong is seen.
func TestCheckSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "source.mkv")
	ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2", "-f", "lavfi", "-i", "aevalsrc='sin(2*PI*600*t)*gt(mod(t*t*3,1),0.6)':s=48000:d=2",
		"-c:v", "ffv1", "-c:a", "pcm_s16le", source)
	made := func(filter string, args ...string) []string {
		return slices.Concat([]string{
			"-i", source, "-vf", filter + ",scale=320:180:out_color_matrix=bt709,format=yuv420p,setsar=1", "-c:v", "libx264", "-preset", "veryfast",
			"-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv", "-c:a", "aac",
		}, args)
	}
	for name, c := range map[string]struct {
		args  []string
		wrong []string // one for each of what is said, in order; none when all is well
	}{
		"right":             {made("null"), nil},
		"turned":            {made("vflip,hflip"), []string{"SSIM", "not the source's", "looks turned by 2 quarters"}},
		"mirrored":          {made("hflip"), []string{"SSIM", "not the source's", "mirrored true"}},
		"a picture missing": {made("select=not(eq(n\\,20))", "-vsync", "vfr"), []string{"49 pictures", "picture 20 is shown"}},
		"two pictures late": {made("tpad=start=2:start_mode=clone,trim=end_frame=50"), []string{"SSIM"}},
		"one other picture": {made("drawbox=t=fill:c=gray:enable='eq(n,30)'"), []string{"the least similar picture"}},
		"another picture":   {made("drawbox=t=fill:c=gray"), []string{"SSIM", "not the source's"}},
		"late sound":        {made("null", "-af", "adelay=100:all=1"), []string{"comes 100 ms late"}},
		"other sound":       {made("null", "-af", "areverse"), []string{"sound is not"}},
		"4:2:2":             {made("null", "-pix_fmt", "yuv422p"), []string{"pix_fmt"}},
		"no square pixels":  {made("null", "-aspect", "4:3"), []string{"sample_aspect_ratio"}},
		"no colours told":   {made("null", "-color_trc", "unknown"), []string{"color_transfer"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.mp4")
			ffmpeg(t, append(c.args, "-t", "2", "-avoid_negative_ts", "disabled", out)...)
			sound := filepath.Join(t.TempDir(), "out.wav")
			ffmpeg(t, "-i", out, "-vn", sound)
			rate := domain.Rational{Num: 25, Den: 1}
			_, wrong := output.Check(t.Context(), output.Made{
				Source: source, Info: domain.SourceInfo{Transfer: domain.SDR, Audio: &domain.AudioInfo{Track: 1}},
				Plan:       domain.Plan{FrameRate: rate, Frames: 50, Rungs: []domain.Rung{{Name: "180p", Width: 320, Height: 180}}},
				Chunk:      domain.Chunk{Frames: 50},
				Renditions: map[string]string{"180p": out}, Sound: sound,
			}, output.Allowed{})
			for _, want := range c.wrong {
				if !slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, want) }) {
					t.Errorf("nothing says %q", want)
				}
			}
			if len(wrong) > 0 != (len(c.wrong) > 0) || t.Failed() {
				t.Errorf("said: %q", wrong)
			}
		})
	}
}

func ffmpeg(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg %q: %v: %s", args, err, out)
	}
}

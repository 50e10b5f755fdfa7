package ffmpeg_test
import ("testing";"time";"syscall";"github.com/cinelog/cinelog/adapters/ffmpeg";"github.com/cinelog/cinelog/commands";"github.com/cinelog/cinelog/domain")
func TestZZ(t *testing.T){
 cpu:=func() float64 { var a,b syscall.Rusage; syscall.Getrusage(syscall.RUSAGE_CHILDREN,&a); syscall.Getrusage(0,&b); return float64(a.Utime.Sec+a.Stime.Sec+b.Utime.Sec+b.Stime.Sec)+float64(a.Utime.Usec+a.Stime.Usec+b.Utime.Usec+b.Stime.Usec)/1e6 }
 e:=newEncoder(t,ffmpeg.Options{})
 p:="/work/shared/media/bbb-1080p25-h264-aac51-62s.mp4"
 info,err:=e.Inspect(t.Context(),p); if err!=nil{t.Fatal(err)}
 t.Log("inspect cpu", cpu())
 plan:=domain.PlanTranscode(info); r:=newRecorder()
 c:=cpu(); b:=time.Now()
 t.Log(e.EncodeChunk(t.Context(),commands.ChunkJob{Path:p,Source:info,Plan:plan,Chunk:0,Poster:true},r), time.Since(b), cpu()-c)
}

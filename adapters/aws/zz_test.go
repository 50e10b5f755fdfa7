package aws_test
import ("net/http";"sync";"time";"testing";"fmt";"sort";"os";"os/exec";"strings";"strconv";"syscall")
type counting struct{ mu sync.Mutex; n map[string]int; d map[string]time.Duration }
func (c *counting) RoundTrip(r *http.Request)(*http.Response,error){
 k:=r.Header.Get("X-Amz-Target"); if k=="" {k="sns"}
 t0:=time.Now(); resp,err:=connections.RoundTrip(r); d:=time.Since(t0)
 c.mu.Lock(); c.n[k]++; c.d[k]+=d; c.mu.Unlock(); return resp,err}
func (c *counting) print(what string){ c.mu.Lock(); defer c.mu.Unlock(); var ks []string; for k:=range c.n{ks=append(ks,k)}; sort.Strings(ks); for _,k:=range ks{ fmt.Printf("%s=%d/%s ",strings.TrimPrefix(k,"AmazonSQS."),c.n[k],(c.d[k]/time.Duration(c.n[k])).Round(100*time.Microsecond))}; fmt.Println(); c.n=map[string]int{}; c.d=map[string]time.Duration{}}
var counter=&counting{n:map[string]int{},d:map[string]time.Duration{}}
func cpu() time.Duration { var r syscall.Rusage; syscall.Getrusage(0,&r); return time.Duration(r.Utime.Nano()+r.Stime.Nano()) }
func nodecpu() time.Duration { out,_:=exec.Command("pgrep","-P",strconv.Itoa(os.Getpid()),"node").Output(); pid:=strings.TrimSpace(string(out)); b,_:=os.ReadFile("/proc/"+pid+"/stat"); f:=strings.Fields(string(b)); if len(f)<15 {return 0}; u,_:=strconv.Atoi(f[13]); s,_:=strconv.Atoi(f[14]); return time.Duration(u+s)*10*time.Millisecond }
func BenchmarkZZ(b *testing.B){
 for i:=0;i<6;i++{
 t0:=time.Now(); c0:=cpu(); n0:=nodecpu(); d:=benchRelay(b,2000); fmt.Print("ours ",d.Round(time.Millisecond)," all ",time.Since(t0).Round(time.Millisecond)," cpu ",cpu()-c0," node ",nodecpu()-n0," "); counter.print("")
 t0=time.Now(); c0=cpu(); n0=nodecpu(); d=benchBare(b,2000); fmt.Print("bare ",d.Round(time.Millisecond)," all ",time.Since(t0).Round(time.Millisecond)," cpu ",cpu()-c0," node ",nodecpu()-n0," "); counter.print("")
 }
}

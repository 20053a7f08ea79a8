package app

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/pipeline/compose"
	"github.com/chartpost/chartpost/schemas"
)

// memoryLimit is the peak resident memory a worker may need for 64 files of
// 30 MB in flight.
const memoryLimit = 64 << 20

// BenchmarkMemory runs the worker as its own process with 64 files of 29.9 MB in
// flight against a receiver that reads 4 MB/s of each, and reports the worker's
// peak resident memory. It fails when that is over the limit, or when the files
// were not in flight at the same time.
func BenchmarkMemory(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Fatal("peak memory is read from /proc")
	}
	program := buildWorker(b)
	for _, how := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
		b.Run(string(how), func(b *testing.B) {
			for b.Loop() {
				peak, inFlight := peakOf(b, program, how, 64, 29_900_000)
				b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
				b.ReportMetric(float64(inFlight), "in-flight")
				if peak > memoryLimit {
					b.Errorf("peak memory %d bytes, the limit is %d", peak, memoryLimit)
				}
				if inFlight < 64 {
					b.Errorf("only %d files were in flight at once", inFlight)
				}
			}
		})
	}
}

// BenchmarkIdleMemory reports the resident memory of a worker that has nothing
// to do, ten seconds after its start and asked twice for its metrics, if it has any.
func BenchmarkIdleMemory(b *testing.B) {
	program := buildWorker(b)
	w := newWorld(b, "")
	w.settings.HTTP.Addr = "127.0.0.1:0"
	worker := w.process(program)
	devtest.Until(b, "the worker is ready", patienceOfTests, func() bool { return strings.Contains(w.log.String(), "worker ready") })
	for b.Loop() {
		for range 2 {
			time.Sleep(5 * time.Second)
			w.scrape()
		}
		b.ReportMetric(float64(memoryOf(b, worker.Process.Pid, "VmRSS:"))/(1<<20), "MiB")
		b.ReportMetric(float64(memoryOf(b, worker.Process.Pid, "RssAnon:"))/(1<<20), "MiB-own")
	}
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := worker.Wait(); err != nil {
		b.Fatalf("the worker did not end in order: %v", err)
	}
}

// BenchmarkMemoryOfOperations compares, for every operation and transfer, the
// worker's peak memory with 16 files of 1 MB and of 29.9 MB in flight. It fails
// when the larger files need more than a tenth of what they are larger by.
func BenchmarkMemoryOfOperations(b *testing.B) {
	program := buildWorker(b)
	const small, large = 1_000_000, 29_900_000
	for _, op := range compose.Operations() {
		for _, how := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
			b.Run(op.Name+"/"+string(how), func(b *testing.B) {
				for b.Loop() {
					few := peakOfOperation(b, program, op.Name, how, small)
					many := peakOfOperation(b, program, op.Name, how, large)
					b.ReportMetric(float64(few)/(1<<20), "MiB-1MB")
					b.ReportMetric(float64(many)/(1<<20), "MiB-29.9MB")
					if many-few > (large-small)/10 {
						b.Errorf("peak memory %d bytes with small files, %d with large ones", few, many)
					}
				}
			})
		}
	}
}

func peakOfOperation(b *testing.B, program, operation string, how schemas.Transfer, size int) int64 {
	b.Helper()
	w := newWorld(b, "")
	file := w.put("a.pdf", document(size, "a"))
	w.settings.Delivery.Concurrency, w.settings.Delivery.LaneConcurrency = 16, 16
	worker := w.process(program)
	const jobs = 16
	for i := range jobs {
		job := golden(b, operation)
		job.ID, job.Transfer, job.Files = fmt.Sprintf("job-%d", i), how, []schemas.File{file}
		w.publish(job)
	}
	for i := range jobs {
		if event := w.final(fmt.Sprintf("job-%d", i)); event.Data.Status != schemas.StatusAccepted {
			b.Fatalf("%s: %s %+v", operation, event.Data.Status, event.Data.Reason)
		}
	}
	peak := peakMemory(b, worker.Process.Pid)
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := worker.Wait(); err != nil {
		b.Fatalf("the worker did not end in order: %v", err)
	}
	return peak
}

func buildWorker(b *testing.B) string {
	b.Helper()
	program, err := devstack.Build(b.Context(), "cmd/chartpost")
	if err != nil {
		b.Fatal(err)
	}
	return program
}

// peakOf delivers n files of size bytes at once and gives the worker's peak
// memory and how many files were in flight together.
func peakOf(b *testing.B, program string, how schemas.Transfer, n, size int) (peak int64, inFlight int) {
	b.Helper()
	w := newWorld(b, "")
	file := w.put("large.pdf", document(size, "large"))
	w.inject(
		redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.UploadRequest}, Action: redoxsim.SlowRead, Bytes: 4_000_000},
		redoxsim.Fault{Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.SlowRead, Bytes: 4_000_000},
	)
	w.settings.Delivery.Concurrency, w.settings.Delivery.LaneConcurrency = n, n
	worker := w.process(program)
	for i := range n {
		// Of a lane that nothing is known of two are taken at once.
		w.publish(w.job(fmt.Sprintf("large-%d", i), []schemas.File{file}, transfer(how), to(fmt.Sprintf("hospital-%d", i/2))))
	}
	for i := range n {
		id := fmt.Sprintf("large-%d", i)
		if event := w.final(id); event.Data.Status != schemas.StatusAccepted {
			b.Fatalf("%s: %s %+v", id, event.Data.Status, event.Data.Reason)
		}
	}
	peak = peakMemory(b, worker.Process.Pid)
	if err := worker.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := worker.Wait(); err != nil {
		b.Fatalf("the worker did not end in order: %v", err)
	}
	return peak, together(w.sim.Requests(), int64(size))
}

// process runs the worker as a user does, by environment variables.
func (w *world) process(program string) *exec.Cmd {
	w.t.Helper()
	s := w.settings
	cmd := exec.Command(program, "worker")
	cmd.Env = append(os.Environ(),
		"CHARTPOST_NATS_URL="+s.NATS.URL, "CHARTPOST_HTTP_ADDR="+s.HTTP.Addr,
		"CHARTPOST_S3_ENDPOINT="+s.S3.Endpoint, "CHARTPOST_S3_PATH_STYLE=true",
		"CHARTPOST_REDOX_ENVIRONMENT="+s.Redox.Environment, "CHARTPOST_REDOX_API_URL="+s.Redox.APIURL,
		"CHARTPOST_REDOX_TOKEN_URL="+s.Redox.TokenURL, "CHARTPOST_REDOX_BLOB_URL="+s.Redox.BlobURL, "CHARTPOST_REDOX_BLOB_HOSTS="+strings.Join(s.Redox.BlobHosts, ","),
		"CHARTPOST_REDOX_CLIENT_ID="+s.Redox.ClientID, "CHARTPOST_REDOX_KEY_FILE="+s.Redox.KeyFile,
		"CHARTPOST_REDOX_KEY_ID="+s.Redox.KeyID, "CHARTPOST_REDOX_SOURCE_ID="+s.Redox.SourceID,
		"CHARTPOST_CONCURRENCY="+strconv.Itoa(s.Delivery.Concurrency), "CHARTPOST_LANE_CONCURRENCY="+strconv.Itoa(s.Delivery.LaneConcurrency),
	)
	cmd.Stdout, cmd.Stderr = w.log, w.log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

// peakMemory is the most resident memory that a process has had, in bytes.
func peakMemory(b *testing.B, pid int) int64 {
	b.Helper()
	return memoryOf(b, pid, "VmHWM:")
}

// memoryOf is a line of /proc/<pid>/status, in bytes.
func memoryOf(b *testing.B, pid int, name string) int64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	b.Fatal("no " + name)
	return 0
}

// together is the largest number of requests of at least size bytes that
// overlapped.
func together(requests []redoxsim.Request, size int64) int {
	most := 0
	for _, r := range requests {
		n := 0
		for _, other := range requests {
			if other.BodyRead >= size && !other.Start.After(r.Start) && other.End.After(r.Start) {
				n++
			}
		}
		if r.BodyRead >= size {
			most = max(most, n)
		}
	}
	return most
}

// worstLimit is the peak resident memory that a worker may need with the worst jobs
// that are valid.
const worstLimit = 128 << 20

// BenchmarkMemoryOfTheWorstJobs runs the worker as its own process with 48 jobs of
// 990 KB and 100,000 JSON values each, for 24 destinations whose uploads or answers
// hang, and reports its peak resident memory once others have found no room beside
// those in hand.
func BenchmarkMemoryOfTheWorstJobs(b *testing.B) {
	program := buildWorker(b)
	for how, hangs := range map[schemas.Transfer]redoxsim.Kind{schemas.Upload: redoxsim.UploadRequest, schemas.Embed: redoxsim.MessageRequest} {
		b.Run(string(how), func(b *testing.B) {
			for b.Loop() {
				peak := peakOfWorst(b, program, how, redoxsim.Fault{Match: redoxsim.Match{Kind: hangs}, Action: redoxsim.Hang})
				b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
				if peak > worstLimit {
					b.Errorf("peak memory %d bytes, the limit is %d", peak, worstLimit)
				}
			}
		})
	}
}

func peakOfWorst(b *testing.B, program string, how schemas.Transfer, hang redoxsim.Fault) int64 {
	b.Helper()
	w := newWorld(b, "")
	file := w.put("a.pdf", document(2000, "a"))
	w.settings.Delivery.Concurrency, w.settings.Delivery.LaneConcurrency = 16, 8
	w.inject(hang)
	worker := w.process(program)
	for i := range 48 {
		job := w.job(fmt.Sprintf("worst-%d", i), []schemas.File{file}, transfer(how), to(fmt.Sprintf("hospital-%d", i/2)))
		job.Message = worstMessage(b)
		w.publish(job)
	}
	devtest.Until(b, "requests hang, and others found no room", patienceOfTests, func() bool {
		return strings.Count(w.log.String(), "found no room in memory") >= 12
	})
	peak := peakMemory(b, worker.Process.Pid)
	if err := worker.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	worker.Wait()
	return peak
}

// worstMessage is as large as a job has room for, and of as many values as a message
// may have.
func worstMessage(b *testing.B) json.RawMessage {
	b.Helper()
	const head = `{"patient":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"MRN-1"}],"name":[{"family":"Example"}],"gender":"female","birthDate":"1970-01-01"},
		"resource":{"resourceType":"DocumentReference","status":"current","extension":[`
	const values, size = 99_900, 989_000
	var text strings.Builder
	text.WriteString(head)
	for i := range values / 2 { // an object and a string each
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(`{"url":"0123"}`)
	}
	text.WriteString(`]}}`)
	return json.RawMessage(text.String() + strings.Repeat(" ", max(size-text.Len(), 0)))
}

package app

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chartpost/chartpost/internal/devstack"
	"github.com/chartpost/chartpost/internal/devstack/devtest"
	"github.com/chartpost/chartpost/internal/redoxsim"
	"github.com/chartpost/chartpost/schemas"
)

// TestTheBytesArrive: what the chart holds is what the store held.
func TestTheBytesArrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	for _, size := range []int{1, 2, 3, 200_000, 29_900_000} {
		data := document(size, t.Name())
		sum := sha(data)
		file := w.put(fmt.Sprintf("%d.pdf", size), data)
		for _, how := range []schemas.Transfer{schemas.Upload, schemas.Embed} {
			id := fmt.Sprintf("bytes-%d-%s", size, how)
			w.publish(w.job(id, []schemas.File{file}, transfer(how)))
			event := w.final(id)
			if event.Data.Status != schemas.StatusAccepted {
				t.Fatalf("%s: %s %+v", id, event.Data.Status, event.Data.Reason)
			}
			if got := event.Data.Files; len(got) != 1 || got[0].SHA256 != sum || got[0].Size != int64(size) || got[0].Transfer != how {
				t.Errorf("%s: the event says %+v", id, got)
			}
			messages := w.sim.Messages()
			files := messages[len(messages)-1].Files
			if len(files) != 1 || files[0].SHA256 != sum || files[0].Size != int64(size) || (files[0].How == redoxsim.Uploaded) != (how == schemas.Upload) {
				t.Errorf("%s: the chart holds %+v, want SHA-256 %s", id, files, sum)
			}
		}
	}
	w.drained()
}

// TestAutoChoosesBySize: at the limit a file is embedded, one byte over it is
// uploaded; the sum counts, not the single file.
func TestAutoChoosesBySize(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	limit := int(w.settings.Delivery.EmbedLimit)
	for _, c := range []struct {
		name  string
		sizes []int
		want  schemas.Transfer
	}{
		{"at-limit", []int{limit}, schemas.Embed},
		{"over-limit", []int{limit + 1}, schemas.Upload},
		{"sum-at-limit", []int{limit - 10, 10}, schemas.Embed},
		{"sum-over-limit", []int{limit - 10, 11}, schemas.Upload},
	} {
		var files []schemas.File
		for i, size := range c.sizes {
			files = append(files, w.put(fmt.Sprintf("%s-%d.pdf", c.name, i), document(size, c.name)))
		}
		w.publish(w.job(c.name, files))
		event := w.final(c.name)
		if event.Data.Status != schemas.StatusAccepted || len(event.Data.Files) != len(files) {
			t.Fatalf("%s: %s, files %+v", c.name, event.Data.Status, event.Data.Files)
		}
		for _, f := range event.Data.Files {
			if f.Transfer != c.want {
				t.Errorf("%s: file %d went by %s, want %s", c.name, f.Index, f.Transfer, c.want)
			}
		}
	}
}

// TestTooLargeEmbeddedIsUploaded: a 413 on a message with its files inside is
// answered once, and only where the caller left the choice.
func TestTooLargeEmbeddedIsUploaded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	if err := w.sim.Inject(redoxsim.Fault{
		Match: redoxsim.Match{Kind: redoxsim.MessageRequest}, Action: redoxsim.AnswerStatus, Status: http.StatusRequestEntityTooLarge, Times: 2,
	}); err != nil {
		t.Fatal(err)
	}
	w.worker()
	file := w.put("a.pdf", document(1000, "a"))
	w.publish(w.job("embed", []schemas.File{file}, transfer(schemas.Embed)))
	if event := w.final("embed"); event.Data.Status != schemas.StatusFailed || event.Data.Reason.Code != "message_too_large" {
		t.Errorf("transfer embed: %s %+v, want failed message_too_large", event.Data.Status, event.Data.Reason)
	}
	w.publish(w.job("auto", []schemas.File{file}))
	event := w.final("auto")
	if event.Data.Status != schemas.StatusAccepted || event.Data.Files[0].Transfer != schemas.Upload {
		t.Errorf("transfer auto: %s by %s, want accepted by upload", event.Data.Status, event.Data.Files[0].Transfer)
	}
	if got, want := w.statuses("auto"), "1/uploaded 1/accepted"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestManyDestinations: lanes are made on sight, and each job reaches its own
// destination.
func TestManyDestinations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.worker()
	file := w.put("a.pdf", document(1000, "a"))
	want := map[string]int{}
	for i := range 40 {
		slug := fmt.Sprintf("clinic_%d.north", i)
		for n := range 3 {
			w.publish(w.job(fmt.Sprintf("job-%d-%d", i, n), []schemas.File{file}, to(slug)))
			want[slug]++
		}
	}
	w.drained()
	got := map[string]int{}
	for _, m := range w.sim.Messages() {
		got[m.Destination]++
	}
	for slug, n := range want {
		if got[slug] != n {
			t.Errorf("%s received %d messages, want %d", slug, got[slug], n)
		}
	}
	if letters := w.dead(); len(letters) != 0 {
		t.Errorf("%d dead letters", len(letters))
	}
}

// TestTwoWorkersShareTheWork: every job is sent once although two workers take
// from the same lanes, over a nats-server in a process of its own.
func TestTwoWorkersShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devtest.NATSProcess(t, devstack.NATSOptions{}).URL())
	w.settings.Delivery.Name = "one"
	w.worker()
	w.settings.Delivery.Name = "two"
	w.worker()
	file := w.put("a.pdf", document(1000, "a"))
	const jobs = 200
	for i := range jobs {
		w.publish(w.job(fmt.Sprintf("job-%d", i), []schemas.File{file}, to(fmt.Sprintf("clinic-%d", i%5))))
	}
	for i := range jobs {
		if event := w.final(fmt.Sprintf("job-%d", i)); event.Data.Status != schemas.StatusAccepted {
			t.Errorf("job-%d: %s", i, event.Data.Status)
		}
	}
	w.drained()
	if got := len(w.sim.Messages()); got != jobs {
		t.Errorf("Redox took %d messages for %d jobs", got, jobs)
	}
}

package faultlab

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Line is one line of the table of the books.
type Line struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Table sums the books up.
func (b *Books) Table() []Line {
	var lines []Line
	add := func(name, format string, args ...any) {
		lines = append(lines, Line{name, fmt.Sprintf(format, args...)})
	}
	files, bytes := 0, int64(0)
	kinds, harms, ends, doubts, exits := count{}, count{}, count{}, count{}, count{}
	for _, j := range b.Jobs {
		files, bytes = files+len(j.Files), bytes+j.Bytes
		kinds[j.Transfer]++
		kinds[j.Class]++
	}
	for _, h := range b.Harms {
		harms[h.What]++
	}
	for _, e := range b.Events {
		ends[e.Status]++
		if e.PossibleDuplicate && e.Status == "retrying" {
			doubts[e.Reason]++
		}
	}
	var stop time.Duration
	for _, e := range b.Exits {
		exits[e.why()]++
		if e.Asked == "TERM" {
			stop = max(stop, e.Took)
		}
	}
	add("jobs published", "%d (%s), %d files, %.1f MB", len(b.Jobs), kinds, files, float64(bytes)/1e6)
	add("harm", "%s", harms)
	add("events", "%s", ends)
	add("messages at Redox", "%d, of them repeats %d (explained: up to %d; lost answers %d, in flight at workers that were harmed %d, while the queue was away %d)",
		len(b.Posts), b.Repeats(), b.RepeatsBound(), b.LostAnswers, b.InFlight(), b.Overtaken())
	add("announced, before a repeat", "%s", doubts)
	add("files at Redox", "%d of %d to upload", len(b.Uploads), b.filesToUpload())
	add("requests at Redox", "%s", b.statuses())
	add("attempts spent", "%s", b.Attempts())
	add("of them, for faults of others", "%s", b.bySpender())
	add("dead letters", "%d", len(b.Letters))
	add("sent by who was no owner", "%s", b.Strays())
	add("worker exits", "%s; longest after SIGTERM %s", exits, stop.Round(time.Millisecond))
	add("left in the queue", "%d messages: %d schedules, %d pending, %d leased, %d orphans",
		b.Rest.Messages, b.Rest.Schedules, b.Rest.Pending, b.Rest.Leased, b.Rest.Orphans())
	add("time", "%s", b.duration().Round(100*time.Millisecond))
	return lines
}

// WriteTable writes lines as a table.
func WriteTable(to io.Writer, title string, lines []Line) {
	fmt.Fprintln(to, title)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(w, "  %s\t%s\n", l.Name, l.Value)
	}
	w.Flush()
}

// count is how often each of some words was met.
type count map[string]int

func (c count) String() string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, c[k]))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// why says how a worker ended and with which code.
func (e Exit) why() string {
	switch {
	case e.Asked != "":
		return fmt.Sprintf("SIG%s -> %d:", e.Asked, e.Code)
	case !e.Ready:
		return fmt.Sprintf("could not start -> %d:", e.Code)
	}
	return fmt.Sprintf("by itself -> %d:", e.Code)
}

func (b *Books) filesToUpload() int {
	n := 0
	for _, j := range b.Jobs {
		if j.Transfer == "upload" {
			n += len(j.Files)
		}
	}
	return n
}

func (b *Books) statuses() string {
	c := count{}
	for _, r := range b.Requests {
		c[fmt.Sprintf("%s %d", r.Kind, r.Status)]++
	}
	return c.String()
}

// Spent is how many attempts jobs took beyond their first.
type Spent struct {
	Jobs, Total, Most int
}

func (s Spent) String() string {
	return fmt.Sprintf("%d beyond the first, by %d jobs; most of one job %d", s.Total, s.Jobs, s.Most)
}

// Attempts is what the last revision of each job's record says.
func (b *Books) Attempts() Spent {
	last := map[string]int{}
	for _, r := range b.Revisions {
		last[r.Job] = max(last[r.Job], r.Attempt)
	}
	var s Spent
	for _, attempt := range last {
		if attempt > 1 {
			s.Jobs++
			s.Total += attempt - 1
			s.Most = max(s.Most, attempt-1)
		}
	}
	return s
}

// Strays are the jobs of which something began at Redox when, by the ledger,
// another worker owned them already. A job is named once for each sending.
type Strays struct {
	Posts, Uploads []string
}

func (s Strays) String() string {
	return fmt.Sprintf("messages %d, files %d", len(s.Posts), len(s.Uploads))
}

// Strays looks at what workers sent after they had lost a job. Nothing can
// forbid it entirely: between a worker's last proof of ownership and its
// request there is always a moment in which it can be frozen.
func (b *Books) Strays() Strays {
	var s Strays
	pages := b.pages()
	for _, id := range sortedKeys(pages) {
		p := pages[id]
		for _, post := range p.posts {
			if p.lost(post.From, post.Started) {
				s.Posts = append(s.Posts, id)
			}
		}
		for _, u := range p.uploads {
			if p.lost(u.From, u.Started) {
				s.Uploads = append(s.Uploads, id)
			}
		}
	}
	return s
}

// lost tells whether somebody else owned the job at that time.
func (p *page) lost(worker string, at time.Time) bool {
	owner := worker
	for _, r := range p.revisions {
		if r.At.Before(at) {
			owner = r.Owner
		}
	}
	return owner != worker
}

// duration is from the first publish to the last event.
func (b *Books) duration() time.Duration {
	if len(b.Jobs) == 0 || len(b.Events) == 0 {
		return 0
	}
	return b.Events[len(b.Events)-1].At.Sub(b.Jobs[0].Published)
}

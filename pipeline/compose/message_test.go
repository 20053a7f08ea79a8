package compose_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chartpost/chartpost/pipeline/compose"
)

func TestNamespace(t *testing.T) {
	if want := uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/chartpost/chartpost")).String(); compose.Namespace != want {
		t.Errorf("the namespace is %s, want %s", compose.Namespace, want)
	}
	job := baseJob()
	doc := message(t, job.Destination.Address(), job.ID)
	for _, role := range []string{"bundle", "document", "header", "patient", "resource", "entries/0"} {
		if want := uuid.NewSHA1(uuid.MustParse(compose.Namespace), []byte(job.Destination.Address()+"/"+job.ID+"/"+role)).String(); !strings.Contains(doc, want) {
			t.Errorf("the identifier of %s is not in the message", role)
		}
	}
}

// message composes the base message for another destination and job id.
func message(t *testing.T, destination, id string) string {
	t.Helper()
	job := baseJob()
	job.Destination.Slug, job.ID = destination, id
	files := baseFiles()
	files[0].URL = "https://blob.redoxengine.com/0"
	return string(mustCompose(t, job, files).Parts()[0].Literal)
}

func TestJobsShareNoIdentifier(t *testing.T) {
	fullURLs := func(destination, id string) map[string]bool {
		found := map[string]bool{}
		for _, part := range strings.Split(message(t, destination, id), `"fullUrl":"`)[1:] {
			found[part[:len("urn:uuid:")+36]] = true
		}
		return found
	}
	seen := map[string]bool{}
	for _, urls := range []map[string]bool{fullURLs("good-health", "job-1"), fullURLs("good-health", "job-2"), fullURLs("clinic", "job-1")} {
		if len(urls) != 4 {
			t.Fatalf("%d fullUrls, want 4", len(urls))
		}
		for url := range urls {
			if seen[url] {
				t.Errorf("%s is in the messages of two jobs", url)
			}
			seen[url] = true
		}
	}
}

func TestTimestampIsTheSameEverywhere(t *testing.T) {
	job, files := baseJob(), baseFiles()
	utc := string(mustCompose(t, job, files).Parts()[0].Literal)
	job.RequestedAt = job.RequestedAt.In(time.FixedZone("", 5*3600+1800))
	if other := string(mustCompose(t, job, files).Parts()[0].Literal); other != utc {
		t.Error("the message depends on the time's zone")
	}
	if !strings.Contains(utc, `"timestamp":"2026-11-20T10:00:00Z"`) {
		t.Error("the timestamp is not requested_at")
	}
}

// TestEncounterLink: linked only where there is nothing to guess.
func TestEncounterLink(t *testing.T) {
	const second = `"entries": [{"resourceType": "Encounter", "id": "e2"}, `
	cases := []struct {
		name, old, new string
		want           int
	}{
		{"one", "", "", 1},
		{"one, with a context", `"status"`, `"context": {}, "status"`, 1},
		{"given", `"status"`, `"context": {"encounter": []}, "status"`, 0},
		{"two", `"entries": [`, second, 0},
		{"none", `"resourceType": "Encounter"`, `"resourceType": "Basic"`, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			job := baseJob()
			job.Message = json.RawMessage(strings.Replace(baseMessage, c.old, c.new, 1))
			var b struct {
				Entry []struct {
					FullURL  string
					Resource struct {
						Context struct{ Encounter []struct{ Reference string } }
					}
				}
			}
			files := baseFiles()
			files[0].URL = "https://blob.redoxengine.com/0"
			if err := json.Unmarshal(mustCompose(t, job, files).Parts()[0].Literal, &b); err != nil {
				t.Fatal(err)
			}
			got := b.Entry[2].Resource.Context.Encounter
			if len(got) != c.want || c.want == 1 && got[0].Reference != b.Entry[3].FullURL {
				t.Errorf("context.encounter is %v", got)
			}
		})
	}
}

func TestReferenceForms(t *testing.T) {
	const id = "7D444840-9dc0-11d1-b245-5ffdce74fad2"
	for _, ref := range []string{
		"urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2", "urn:uuid:" + id, "URN:UUID:" + id, "Patient/" + id, "Patient/" + id + "/_history/1", `Patient\/` + id,
	} {
		job := baseJob()
		s := strings.Replace(baseMessage, `"id": "p1"`, `"id": "`+id+`"`, 1)
		job.Message = json.RawMessage(strings.ReplaceAll(s, "Patient/p1", ref))
		files := baseFiles()
		files[0].URL = "https://blob.redoxengine.com/0"
		got := string(mustCompose(t, job, files).Parts()[0].Literal)
		if strings.Count(got, `"urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2"`) != 3 {
			t.Errorf("%s does not become the fullUrl", ref)
		}
	}
}

func TestTitles(t *testing.T) {
	for given, want := range map[string]string{"a.pdf": `"title":"a.pdf"`, "a\x00\n\u0085b\xff": "\"title\":\"ab\ufffd\"", " \t ": "", "": ""} {
		files := baseFiles()
		files[0].URL = "https://blob.redoxengine.com/0"
		files[1].Title = given
		got := string(mustCompose(t, baseJob(), files).Parts()[0].Literal)
		if want != "" && !strings.Contains(got, want) || want == "" && strings.Count(got, `"title"`) != 1 {
			t.Errorf("title %q: got %s", given, got)
		}
		if strings.Count(got, canary) != 4 {
			t.Errorf("the caller's own title does not win over the file's")
		}
	}
}

func TestOperationNames(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range compose.Operations() {
		if seen[op.Name] || op.ContentType == "" || op.API.String() == "unknown" {
			t.Errorf("the row of %s is not sound", op.Name)
		}
		seen[op.Name] = true
		if op.API == compose.FHIR && !strings.HasPrefix(op.Path, op.Main+"/$") {
			t.Errorf("the path of %s does not begin with its resource", op.Name)
		}
	}
}

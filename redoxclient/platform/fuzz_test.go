package platform

import (
	"strings"
	"testing"
)

// FuzzAnswer reads answers of any form: nothing of them but ids, words and times may
// come out, and none may stop the program.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"meta":{"version":"1.0.0"},"payload":{"result":{"attempts":{"total":2,"latest":{"id":"a","attemptAt":"2026-11-30T10:00:00.000Z","status":"succeeded"}}}}}`,
		`{"meta":{"page":{"links":{"next":"/x?_cursor=abc"}}},"payload":{"logs":[{"id":1,"status":"FAILED","createdAt":"2026-11-30T10:00:00Z"}]}}`,
		`{"payload":[]}`, `{"payload":{"a":[],"b":[]}}`, `{"payload":{"id":"x","status":"Jane Doe"},"payload":7}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := call{op: OpSearch}.read(body)
		if err != nil {
			return
		}
		list, _ := e.list()
		_ = e.cursor()
		logs, _ := logsOf(append(list, e.Payload), "")
		for _, log := range logs {
			if strings.Trim(log.Word, "abcdefghijklmnopqrstuvwxyz_-/") != "" || len(log.Word) > 65 || idOf(log.ID) != log.ID {
				t.Errorf("the log %+v shows text of the answer", log)
			}
			if log.Status == "" {
				t.Errorf("the log %+v has no status", log)
			}
		}
	})
}

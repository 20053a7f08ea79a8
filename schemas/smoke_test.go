package schemas

import (
	"os"
	"testing"
)

func TestSmoke(t *testing.T) {
	d, _ := os.ReadFile("examples/job/documentreference-create.json")
	j, err := DecodeJob(d)
	t.Logf("%+v %v", j.Destination, err)
	if err != nil {
		t.Fatal(err)
	}
	_, err = DecodeJob([]byte(`{"id":"a b","ID":"x","operation":"observation-create","message":{"patient":{"resourceType":"P","x":1,"x":2}},"destination":{"id":"q"},"files":[{"Bucket":"B","keys":1}],"correlation":{"a":1}}`))
	t.Log(err)
}
func BenchmarkDecode(b *testing.B) {
	d, _ := os.ReadFile("examples/job/documentreference-create.json")
	b.SetBytes(int64(len(d)))
	b.ReportAllocs()
	for b.Loop() {
		DecodeJob(d)
	}
}

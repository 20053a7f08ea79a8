package inventory

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"
)

// The columns and the first lines are as AWS documents them ("Amazon S3 Inventory list").
const report = `{"sourceBucket": "archive", "destinationBucket": "arn:aws:s3:::inventories", "version": "2016-11-30",
  "creationTimestamp": "1514944800000", "fileFormat": "CSV",
  "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass",
  "files": [{"key": "Inventory/archive/data/a.csv.gz", "size": 2147, "MD5checksum": "f11166069f1990abeb9c97ace9cdfabc"}]}`

const lines = `"archive","2019/Zebedee+%281%29.pdf","v2","true","false","48000","2019-03-01T08:30:00.000Z","abc","STANDARD"
"archive","2019/old.pdf","v1","false","false","1","2019-03-01T08:30:00.000Z","abc","STANDARD"
"archive","2019/gone.pdf","v3","true","true","","2019-03-01T08:30:00.000Z","",""
"archive","2019/","v3","true","false","0","2019-03-01T08:30:00.000Z","d41d","STANDARD"
"archive","2019/b.pdf","v1","true","false","7","","","GLACIER"
`

func all(t *testing.T, objects iter.Seq2[Object, error]) (list []Object, err error) {
	t.Helper()
	for object, err := range objects {
		if err != nil {
			return list, err
		}
		list = append(list, object)
	}
	return list, nil
}

// TestReport: the columns come from the report, and what no job can have is passed over.
func TestReport(t *testing.T) {
	r, err := ReadReport(strings.NewReader(report))
	if err != nil || len(r.Keys) != 1 || r.Keys[0] != "Inventory/archive/data/a.csv.gz" {
		t.Fatalf("%+v, %v", r, err)
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(w, lines); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	got, err := all(t, Read(&zipped, r.Columns, URL))
	want := []Object{
		{"archive", "2019/Zebedee (1).pdf", 48000, time.Date(2019, 3, 1, 8, 30, 0, 0, time.UTC), "abc"},
		{Bucket: "archive", Key: "2019/b.pdf", Size: 7},
	}
	if err != nil || len(got) != len(want) {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	for text, want := range map[string]error{
		`{"fileFormat": "Parquet", "fileSchema": "message s3.inventory {}"}`: ErrFormat,
		`{"fileFormat": "ORC"}`: ErrFormat,
		`[]`:                    errNoReport,
		`{"fileFormat": "CSV", "fileSchema": "Bucket, Key, Size", "files": [{}]}`: errNoReport,
	} {
		if _, err := ReadReport(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ReadReport(strings.NewReader(`{"fileFormat": "CSV", "fileSchema": "Bucket, Key"}`)); err == nil || !strings.Contains(err.Error(), "must have size") {
		t.Error(err)
	}
}

// TestBadLine: a fault names the line and no value.
func TestBadLine(t *testing.T) {
	columns, err := NewColumns([]string{"bucket", "key", "size"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"archive,a,1\narchive,%zz,1\n":   "line 2: the key is not URL-encoded",
		"archive,a,Zebedee\n":            "line 1: the size is not a whole number",
		"archive,a,1\narchive,Zebedee\n": "line 2",
		"archive,\"Zebedee\"x,1\n":       "line 1: csv_quote",
		"archive,a,-1\n":                 "line 1: the size is not a whole number",
	} {
		_, err := all(t, Read(strings.NewReader(text), columns, URL))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "Zebedee") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got, err := all(t, Read(strings.NewReader(""), columns, URL)); len(got) != 0 || err != nil {
		t.Errorf("an empty file: %v, %v", got, err)
	}
}

// TestWrite: what is written can be read by a program that knows CSV.
func TestWrite(t *testing.T) {
	failed := errors.New("failed")
	objects := func(err error) iter.Seq2[Object, error] {
		return func(yield func(Object, error) bool) {
			if yield(Object{"b", "a \"1\", x.pdf", 3, time.Date(2019, 3, 1, 3, 30, 0, 0, time.FixedZone("", -5*3600)), `"e"`}, nil) {
				yield(Object{Bucket: "b", Key: "c"}, err)
			}
		}
	}
	var out bytes.Buffer
	n, err := Write(t.Context(), &out, objects(nil))
	want := "bucket,key,size,modified,etag\nb,\"a \"\"1\"\", x.pdf\",3,2019-03-01T08:30:00Z,\"\"\"e\"\"\"\nb,c,0,,\n"
	if n != 2 || err != nil || out.String() != want {
		t.Errorf("%d, %v\n%s", n, err, out.String())
	}
	if _, err := Write(t.Context(), io.Discard, objects(failed)); !errors.Is(err, failed) {
		t.Error(err)
	}
}

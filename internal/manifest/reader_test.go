package manifest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/unicode"
)

// rows reads a manifest to its end: a line for each record, with its number and
// its fields or its fault.
func rows(t testing.TB, from io.Reader, o Options) (lines []string, r *Reader) {
	t.Helper()
	r, err := NewReader(from, o)
	if err != nil {
		return []string{err.Error()}, nil
	}
	row := newRow(r.Columns(), r.Delimiter())
	for {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines, r
		}
		if err != nil {
			return append(lines, err.Error()), r
		}
		if f := row.read(r.Format(), record); f != nil {
			lines = append(lines, fmt.Sprintf("%d %s %s", record.Number, f.Code, f.Column))
			continue
		}
		lines = append(lines, fmt.Sprintf("%d %q", record.Number, row.values))
	}
}

func TestReader(t *testing.T) {
	long := strings.Repeat("x", MaxRecord)
	far := strings.Repeat("3,"+strings.Repeat("4", 1021)+"\n", MaxRecord/1024)
	for _, c := range []struct{ name, in, want string }{
		{"plain", "a,b\n1,2\n3,4", `2 ["1" "2"]|3 ["3" "4"]`},
		{"CRLF and a byte order mark", "\xef\xbb\xbfa,b\r\n1,2\r\n", `2 ["1" "2"]`},
		{"quotes", "a,b\n\"x, \"\"y\"\"\",\"\"\n", `2 ["x, \"y\"" ""]`},
		{"a quoted newline counts as a line", "a,b\n\"x\r\ny\",2\n3,4\n", `2 ["x\r\ny" "2"]|4 ["3" "4"]`},
		{"a quoted header", "\"a\nz\",b\n1,2\n", `3 ["1" "2"]`},
		{"empty lines", "a\n\n\r\n1\n\n", `4 ["1"]`},
		{"empty fields", "a,b,c\n,,\n", `2 ["" "" ""]`},
		{"too few, too many", "a,b\n1\n1,2,3\n1,2\n", `2 field_count |3 field_count |4 ["1" "2"]`},
		{"a quote inside", "a,b\n1,x\"y\n1,2\n", `2 csv_quote |3 ["1" "2"]`},
		{"behind a quote", "a,b\n\"1\"x,2\n1,2\n", `2 csv_quote |3 ["1" "2"]`},
		{"an open quote costs its line alone", "a,b\n1,\"x\n3,4\n5,6\n", `2 csv_quote |3 ["3" "4"]|4 ["5" "6"]`},
		{"an open quote far from the end", "a,b\n1,\"x\n" + far + "5,6\n", ""},
		{"not UTF-8", "a,b\n1,\xff\n1,2\n", `2 not_utf8 #2|3 ["1" "2"]`},
		{"too long", "a,b\n1," + long + "\n1,2\n", `2 line_too_long |3 ["1" "2"]`},
		{"too long at the end", "a,b\n1,2\n1," + long + long + long, `2 ["1" "2"]|3 line_too_long `},
		{"UTF-16", "\xff\xfea\x00,\x00b\x00\r\x00\n\x00\xe9\x00,\x001\x00\n\x00", `2 ["é" "1"]`},
		{"UTF-16, the other way round", "\xfe\xff\x00a\x00\n\x00\xe9", `2 ["é"]`},
		{"semicolons", "a;b\r\n\"x;y\";2,5\n", `2 ["x;y" "2,5"]`},
		{"tabs", "a\tb\n1,5\t2\n", `2 ["1,5" "2"]`},
		{"bars", "a|b|c\n1|2|3\n", `2 ["1" "2" "3"]`},
		{"commas inside quotes do not count", "\"a, b, c\";d\n1;2\n", `2 ["1" "2"]`},
		{"a stated delimiter", "sep=;\r\na,b,c;d\r\n1;2\r\n", `3 ["1" "2"]`},
		{"a column named like a statement", "sep=x\n1\n", `2 ["1"]`},
		{"behind a quote, with semicolons", "a;b\n\"1\",2;3\n1;2\n", `2 csv_quote |3 ["1" "2"]`},
		{"an array", " [{\"a\":1}]", ErrArray.Error()},
		{"nothing", "", ErrEmpty.Error()},
		{"only a mark", "\xef\xbb\xbf", ErrEmpty.Error()},
		{"only a header", "a,b\n", ""},
		{"a broken header", "a,\"b\n1,2\n", "line 1 of the manifest cannot be a header line: csv_quote: a quoted field is not closed"},

		{"NDJSON", "{\"a\":\"x\",\"b\":1.50}\n\n{\"b\":true}\r\n{\"a\":null,\"c\":7}\n", `1 ["x" "1.50"]|3 ["" "true"]|4 ["" ""]`},
		{"nested", "{\"a\":{\"b\":\"x\",\"c\":{\"d\":\"\\u00e9\"}}}\n", `1 ["x" "é"]`},
		{"arrays", "{\"a\":1}\n{\"a\":[1]}\n{\"b\":[1]}\n", `1 ["1"]|2 not_single |3 [""]`},
		{"no JSON", "{\"a\":1}\n{\"a\":1\n[1]\n{} {}\n{\"a\":1,\"a\":2}\n{\"a\":\"\xff\"}\n", `1 ["1"]|2 not_json |3 not_json |4 not_json |5 not_json |6 not_json `},
		{"too long NDJSON", "{\"a\":1}\n{\"a\":\"" + long + "\"}\n{\"a\":2}", `1 ["1"]|2 line_too_long |3 ["2"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines, _ := rows(t, strings.NewReader(c.in), Options{})
			if c.want == "" && len(lines) > 2 {
				if lines[0] != "2 csv_quote " || len(lines) != 1+MaxRecord/1024+1 {
					t.Errorf("%d lines, the first %s", len(lines), lines[0])
				}
				return
			}
			if got := strings.Join(lines, "|"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if len(c.in) < 1000 {
				if slow, _ := rows(t, iotest.OneByteReader(strings.NewReader(c.in)), Options{}); !slices.Equal(slow, lines) {
					t.Errorf("byte by byte: %q", slow)
				}
			}
			zipped, _ := rows(t, bytes.NewReader(zip(t, c.in)), Options{})
			if !slices.Equal(zipped, lines) {
				t.Errorf("as gzip: %q", zipped)
			}
		})
	}
}

// TestEncoding reads what must be stated: nothing in the bytes tells of it.
func TestEncoding(t *testing.T) {
	for _, c := range []struct {
		name, in string
		encoding Encoding
		want     string
	}{
		{"Windows-1252", "name,eur\nJos\xe9,\x80\n", Windows1252, `2 ["José" "€"]`},
		{"UTF-16 without a mark", "a\x00\n\x00\xe9\x00", UTF16, `2 ["é"]`},
		{"UTF-8", "a\n\xc3\xa9\n", UTF8, `2 ["é"]`},
		{"a mark against the statement", "\xff\xfea\x00", Windows1252, "the manifest begins with the byte order mark of UTF-16, and was to be read as windows-1252"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines, _ := rows(t, strings.NewReader(c.in), Options{Encoding: c.encoding})
			if got := strings.Join(lines, "|"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestColumnsGivenByName(t *testing.T) {
	lines, r := rows(t, strings.NewReader("1,2\n"), Options{Columns: []string{"a", "b"}})
	if want := []string{`1 ["1" "2"]`}; !slices.Equal(lines, want) || !slices.Equal(r.Columns(), []string{"a", "b"}) {
		t.Errorf("%q", lines)
	}
	lines, _ = rows(t, strings.NewReader("{\"b\":2}\n"), Options{Columns: []string{"a", "b"}})
	if want := []string{`1 ["" "2"]`}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	lines, _ = rows(t, strings.NewReader("{1\n"), Options{Format: CSV, Columns: []string{"a"}})
	if want := []string{`1 ["{1"]`}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}

// A gzip manifest that was cut off, or a read that fails, is never a shorter
// manifest.
func TestNoShortManifest(t *testing.T) {
	text := "a,b\n" + strings.Repeat("1,2\n", 1000)
	whole := zip(t, text)
	for _, n := range []int{len(whole) - 1, len(whole) - 8, len(whole) / 2, 12, 3} {
		lines, _ := rows(t, bytes.NewReader(whole[:n]), Options{})
		if last := lines[len(lines)-1]; !strings.Contains(last, ErrGzip.Error()) {
			t.Errorf("%d of %d bytes: %s", n, len(whole), last)
		}
	}
	broken := errors.New("the line is down")
	for _, part := range []string{"a,b\n1,2\n3,4", "a,b\n1,2\n3,\"4", "{\"a\":1}\n{\"a\":2"} {
		lines, _ := rows(t, io.MultiReader(strings.NewReader(part), iotest.ErrReader(broken)), Options{})
		if last := lines[len(lines)-1]; !strings.Contains(last, broken.Error()) || strings.Contains(strings.Join(lines, ""), "4") {
			t.Errorf("%q", lines)
		}
	}
	lines, _ := rows(t, io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), Options{})
	if last := lines[len(lines)-1]; !strings.Contains(last, broken.Error()) {
		t.Error(last)
	}
}

func TestDigest(t *testing.T) {
	text := "a,b\n1,2\n"
	two := append(zip(t, text), zip(t, "3,4\n")...)
	for _, stored := range [][]byte{[]byte(text), zip(t, text), two} {
		_, r := rows(t, bytes.NewReader(stored), Options{})
		sum := sha256.Sum256(stored)
		if digest, size := r.Digest(); digest != hex.EncodeToString(sum[:]) || size != int64(len(stored)) {
			t.Errorf("%s of %d bytes", digest, size)
		}
	}
}

// TestResume goes on behind every line, of each kind of file.
func TestResume(t *testing.T) {
	csvText := "\xef\xbb\xbfa,b\r\n1,\"x\ny\"\r\n\n" + strings.Repeat("3,\"é\"\"\"\r\n", 1500) + "1,\"open\n5,6\n"
	ndjson := strings.Repeat("{\"a\":1}\n\n", 1500) + "{\"b\":\"x\"}"
	path := filepath.Join(t.TempDir(), "manifest")
	for _, text := range []string{csvText, ndjson} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		all, _ := rows(t, strings.NewReader(text), Options{})
		r, err := NewReader(strings.NewReader(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			record, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if i > 3 && i < len(all)-3 && i%499 != 0 {
				continue
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, from := range []io.Reader{file, strings.NewReader(text), iotest.HalfReader(strings.NewReader(text)), bytes.NewReader(zip(t, text)), strings.NewReader(wide)} {
				if rest := resumed(t, from, record.Next); !slices.Equal(rest, all[i+1:]) {
					t.Errorf("%T behind line %d: %d lines, want %d", from, record.Number, len(rest), len(all)-i-1)
				}
			}
			file.Close()
		}
	}
}

func resumed(t *testing.T, from io.Reader, at Position) (lines []string) {
	t.Helper()
	r, err := NewReader(from, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Resume(at); err != nil {
		t.Fatal(err)
	}
	row := newRow(r.Columns(), r.Delimiter())
	for {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			if digest, _ := r.Digest(); digest != "" {
				t.Error("a digest of a part")
			}
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		if f := row.read(r.Format(), record); f != nil {
			lines = append(lines, fmt.Sprintf("%d %s %s", record.Number, f.Code, f.Column))
			continue
		}
		lines = append(lines, fmt.Sprintf("%d %q", record.Number, row.values))
	}
}

// FuzzReader holds the reader to encoding/csv where both take a file, and to
// itself: however the bytes come, the records are the same and cover the file.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a\n\"x\ny\"\n", "a\n\"\"\"\"\n", "\xef\xbb\xbfa\r\n1\r\n", "{\"a\":1}\n{\"a\":{\"b\":[]}}", "a,b\n\"1\"x\n\"", "a\n\"\n\"\n\"", "\x1f\x8b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, r := rows(t, bytes.NewReader(data), Options{})
		slow, _ := rows(t, iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(data))), Options{})
		if !slices.Equal(lines, slow) {
			t.Fatalf("%q\n%q", lines, slow)
		}
		if r == nil || r.Format() != CSV || bytes.HasPrefix(data, []byte("\x1f\x8b")) || bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
			return
		}
		if r.scan.at.Offset != int64(len(data)) {
			t.Fatalf("%d of %d bytes", r.scan.at.Offset, len(data))
		}
		plain := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
		if bytes.HasPrefix(plain, []byte("sep=")) {
			return
		}
		theirs := csv.NewReader(bytes.NewReader(plain))
		theirs.Comma = rune(r.Delimiter())
		records, err := theirs.ReadAll()
		// encoding/csv drops a carriage return inside of quotes.
		if err != nil || len(records) == 0 || bytes.ContainsRune(data, '\r') {
			return
		}
		var want []string
		for _, record := range records[1:] {
			want = append(want, fmt.Sprintf("%q", record))
		}
		for i, line := range lines {
			_, fields, _ := strings.Cut(line, " ")
			if !strings.HasPrefix(fields, "not_utf8") && (i >= len(want) || fields != want[i]) {
				t.Fatalf("line %d: %s, want %q", i, line, want)
			}
		}
	})
}

package redoxsim

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzLift: a text is JSON exactly if its skeleton and the lifted strings are.
func FuzzLift(f *testing.F) {
	for _, seed := range []string{
		`{"a":"short","b":"rather long \" with quote"}`, `{"a":"\\\\\\\\\\\""}`, `"abcdefgh\\"`, `["abcdefghij`, "{\"abcdefghi\":\"\x01aaaaaaaa\"}",
		`"\ud800aaaaaaaaaa"`, `"aaaaaaaaaa"x`, strings.Repeat(`\`, 70000), `"` + strings.Repeat(`\\`, 40000) + `"`, `"` + strings.Repeat("a", 70000) + `\""`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const prefix = "lifted-"
		if bytes.Contains(text, []byte(prefix)) {
			t.Skip()
		}
		skeleton, spans, err := lift(bytes.NewReader(text), prefix, 8)
		got := err == nil && jsontext.Value(skeleton).IsValid(jsontext.AllowDuplicateNames(true))
		body := Body{mem: text}
		for _, sp := range spans {
			_, err := body.validString(sp)
			got = got && err == nil
		}
		if want := jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true)); got != want {
			t.Errorf("taken as JSON: %v, is JSON: %v", got, want)
		}
	})
}

// FuzzBase64: the block decoder agrees with the plain way of doing it.
func FuzzBase64(f *testing.F) {
	for _, seed := range []string{
		"", "QQ==", "QUI=", "QUJD", `QU\/D`, `QU\u002fD`, "QQ==QQ==", `QQ=\n=`, "QQ=\n=", "QR==", `QU\tD`, "QQ", "=", `\`, `\u00`,
		strings.Repeat("QUJD", 12<<10), strings.Repeat("QUJD", 12<<10-1) + "QQ==QUJD", strings.Repeat("QUJD", 12<<10-1) + `QQ==\n`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, inside []byte) {
		got, err := io.ReadAll(decodeBase64(bytes.NewReader(inside)))
		text, quoteErr := jsontext.AppendUnquote(nil, append(append([]byte{'"'}, inside...), '"'))
		want, wantErr := base64.StdEncoding.Strict().DecodeString(string(text))
		if quoteErr != nil {
			wantErr = quoteErr
		}
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("error %v, want %v; %d bytes, want %d", err, wantErr, len(got), len(want))
		}
	})
}

package guard

import (
	"strings"
	"testing"
)

func TestStatement(t *testing.T) {
	for _, c := range []struct {
		claims []string
		want   string
	}{
		{[]string{"application/pdf", "image/png", "text/plain"}, "application/pdf"},
		{[]string{"", "image/png", "text/plain"}, "image/png"},
		{[]string{"", "", "text/plain"}, "text/plain"},
		{[]string{"", "", ""}, ""},
		{nil, ""},
		{[]string{"application/octet-stream", "binary/octet-stream", "image/png"}, "image/png"},
		{[]string{"", "application/x-www-form-urlencoded"}, ""},
		{[]string{"Application/PDF"}, "application/pdf"},
		{[]string{`application/pdf; name="Jane Doe.pdf"`}, "application/pdf"},
		{[]string{"text/plain; charset=UTF-8"}, "text/plain; charset=utf-8"},
		{[]string{`text/plain; name="Jane Doe"; charset="windows-1252"`}, "text/plain; charset=windows-1252"},
		{[]string{"no type", "image/jpeg"}, "image/jpeg"},
		{[]string{"jane-doe/pdf"}, ""},
		{[]string{"application/" + strings.Repeat("x", 128)}, ""},
		{[]string{"text/plain\r\nX-Evil: 1"}, ""},
	} {
		if got := Statement(c.claims...); got != c.want {
			t.Errorf("%q: %s, want %s", c.claims, got, c.want)
		}
	}
}

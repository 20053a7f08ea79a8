package compose_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// randomMessage is a message with members of chance in every object below the
// top.
func randomMessage(seed uint64, message string) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	var b strings.Builder
	depth := 0
	for i := 0; i < len(message); i++ {
		b.WriteByte(message[i])
		if message[i] == '{' {
			if depth > 0 && r.IntN(2) == 0 {
				fmt.Fprintf(&b, "%s%s:%s,", space(r), randomKey(r, i), randomValue(r, 4))
			}
			depth++
		}
	}
	return []byte(strings.ReplaceAll(b.String(), ",}", "}"))
}

func space(r *rand.Rand) string { return []string{"", " ", "\n\t", "\r\n  "}[r.IntN(4)] }

func randomKey(r *rand.Rand, i int) string {
	return fmt.Sprintf(`"%s%d_%d"`, []string{"x", "_birthDate", "\\u0041<&>", "é", "{[", "reference\\\""}[r.IntN(6)], i, r.IntN(1000))
}

func randomValue(r *rand.Rand, depth int) string {
	scalars := []string{`null`, `true`, `1.10`, `-0.0`, `1E+400`, `123456789012345678901234567890`, `""`, `"<>&\u2028\/"`, `"  , : \" "`, `"\ud83d\ude00 😀"`,
		`{"reference":"Patient/p1"}`, `{"reference" : "https://x.example/?a=<b>&c"}`, `{"reference":{"reference":"Encounter/e1/_history/2"}}`, `{"Reference":17}`}
	if depth == 0 || r.IntN(3) == 0 {
		return space(r) + scalars[r.IntN(len(scalars))] + space(r)
	}
	var elems []string
	object := r.IntN(2) == 0
	for i := range r.IntN(4) {
		v := randomValue(r, depth-1)
		if object {
			v = randomKey(r, i) + space(r) + ":" + v
		}
		elems = append(elems, v)
	}
	if object {
		return "{" + strings.Join(elems, ",") + space(r) + "}"
	}
	return "[" + space(r) + strings.Join(elems, ",") + "]"
}

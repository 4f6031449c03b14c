package contact_test

import (
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/contact"
)

func TestSlipsMarkTheLettersThatWereTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ typed, meant, want string }{
		{"patmiller", "patmiler", "patmi[l]ler"},
		{"patmiler", "patmiller", "patmi[]ler"},
		{"patmixer", "patmiler", "patmi[x]er"},
		{"ptamiler", "patmiler", "p[ta]miler"},
		{"", "p", "[]"},
		{"müller", "muller", "m[ü]ller"},
		{"same", "same", "same"},
		{"abc", "xyz", "[abc]"},
	} {
		var b strings.Builder
		for _, s := range contact.Slips(c.typed, c.meant) {
			if s.Slip {
				b.WriteString("[" + s.Text + "]")
			} else {
				b.WriteString(s.Text)
			}
		}
		if b.String() != c.want {
			t.Errorf("%q for %q: %q, want %q", c.typed, c.meant, b.String(), c.want)
		}
	}
}

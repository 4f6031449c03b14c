package contact_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/contact"
)

// Finding B: the domain in clear, and never more than half of the local part.
func TestMaskLocalShowsTheDomainAndAtMostTwoLetters(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"bounced+pat@connectlink.test": "bo••••@connectlink.test",
		"pat@customer.example":         "p••••@customer.example",
		"pa@customer.example":          "p••••@customer.example",
		"p@customer.example":           "p••••@customer.example",
		"äöüß@mail.customer.example":   "äö••••@mail.customer.example",
		`"a@b"@customer.example`:       `"a••••@customer.example`,
		"no address":                   "•••",
		"pat@host":                     "•••",
		"@customer.example":            "•••",
		"":                             "•••",
	} {
		if got := contact.MaskLocal(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

package contact_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/contact"
)

func TestAPersonIsFoundByWholeAddressesAndTheirParts(t *testing.T) {
	t.Parallel()
	got := contact.Terms("Pat.Doe@Customer.example", "+12025550147", "Pat O'Doe")
	want := []contact.Term{
		{Kind: "email", Value: "pat.doe@customer.example"}, {Kind: "email.local", Value: "pat.doe"}, {Kind: "email.domain", Value: "customer.example"},
		{Kind: "phone", Value: "+12025550147"}, {Kind: "phone.last4", Value: "0147"},
		{Kind: "name.word", Value: "pat"}, {Kind: "name.word", Value: "o"}, {Kind: "name.word", Value: "doe"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := contact.Terms("", "", ""); len(got) != 0 {
		t.Errorf("nobody is found by %v", got)
	}
}

func TestANumberIsLookedForInWhateverFormItIsWritten(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"+1 202 555 0147":           "+12025550147",
		"(202) 555-0147":            "+12025550147",
		"202.555.0147":              "+12025550147",
		"12025550147":               "+12025550147",
		"011 49 30 901820":          "+4930901820",    // how it does
		"49 1512 3456789":           "+4915123456789", // the plus was left out
		"\u202a+49 30 901820\u202c": "+4930901820",    // a landline, with what an address book adds
		"0147":                      "",               // the last four are no number
		"order 2025550147":          "",
		"":                          "",
	} {
		if got, _ := contact.SearchPhone(raw, "US"); got != want {
			t.Errorf("%q is looked for as %q, want %q", raw, got, want)
		}
	}
}

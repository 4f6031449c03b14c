package find_test

import (
	"fmt"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
)

// Finding A: the domain is all that an exact comparison of parts has left of a
// slip before the @, and later bounces of that domain came first.
func TestConsoleAASlipIsFoundAmongFiftyOthersOfItsDomain(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	meant := a.bounced(a.add(person{user: "user-101", email: "bounced+patmiler@connectlink.test", name: "Pat Miller"}), invite.AddressNotFound)
	number := a.bounced(a.add(person{user: "user-102", phone: "+12025550147"}), invite.NumberUnknown)
	for i := range 50 {
		a.bounced(a.add(person{user: fmt.Sprintf("user-%d", 150+i), email: fmt.Sprintf("bounced+bulk%d@connectlink.test", i)}), invite.AddressNotFound)
	}
	for text, want := range map[string]struct {
		id    invite.ID
		slips int
	}{
		"bounced+patmiller@connectlink.test":   {meant.id, 1}, // a letter more
		"bounced+patmler@connectlink.test":     {meant.id, 1}, // a letter less
		"bounced+patmiker@connectlink.test":    {meant.id, 1}, // another letter
		"bounced+ptamiler@connectlink.test":    {meant.id, 1}, // two swapped
		"Bounced+PatMiller@ConnectLink.test":   {meant.id, 1},
		"bounced+patmiller@conectlink.test":    {meant.id, 2}, // and the domain as well
		"bounced+patmiler@connectlink.tset":    {meant.id, 1},
		"Pat <bounced+patmile@connectlink.de>": {meant.id, 0}, // no slip any more
		"+1 202 555 0174":                      {number.id, 1},
		"+1 202 555 014":                       {number.id, 1},
		"+1 202 555 0948":                      {number.id, 2},
	} {
		f := a.search(text)
		switch {
		case want.slips == 0:
			if len(f.Similar) > 0 && f.Similar[0].Slips > 0 {
				t.Errorf("%q: %d slips are said of %s", text, f.Similar[0].Slips, f.Similar[0].UserText)
			}
		case len(f.Similar) == 0 || f.Similar[0].ID != want.id || f.Similar[0].Slips != want.slips:
			t.Errorf("%q: similar are %v, want first %s with %d slips", text, hits(f.Similar), want.id, want.slips)
		}
	}
	if f := a.search("bounced+patmiller@connectlink.test"); len(f.Similar) != 8 || f.AtDomain != 43 {
		t.Errorf("%d similar and %d more at the domain, want 8 and 43", len(f.Similar), f.AtDomain)
	}
}

// Where better ones are found, those of the domain alone are not listed.
func TestConsoleAThoseOfTheSameDomainAreLeftOutWhereThreeAreBetter(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for _, email := range []string{"patmiler@customer.example", "patmiller@custmer.example", "patmillr@customer.example", "sam@customer.example", "kim@customer.example"} {
		a.bounced(a.add(person{email: email}), invite.AddressNotFound)
	}
	f := a.search("patmiller@customer.example")
	if len(f.Similar) != 3 || f.AtDomain != 2 {
		t.Errorf("similar are %v and %d more at the domain, want three and 2", hits(f.Similar), f.AtDomain)
	}
}

package contact_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/contact"
)

func TestAccountsOfOtherMailboxesAreNoticed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, recipient, account string
		other                    bool
	}{
		{"the same", "pat@customer.example", "pat@customer.example", false},
		{"another person", "pat@customer.example", "kim@customer.example", true},
		{"another domain", "pat@customer.example", "pat@home.example", true},
		{"in capitals", "pat@customer.example", " Pat@Customer.Example ", false},
		{"with a tag", "pat+slack@customer.example", "pat+crm@customer.example", false},
		{"a tag and nothing else", "+pat@customer.example", "+kim@customer.example", true},
		{"dots at Gmail", "p.a.t@gmail.com", "pat@googlemail.com", false},
		{"dots elsewhere", "p.a.t@customer.example", "pat@customer.example", true},
		{"a domain in its own script", "pat@bücher.example", "pat@xn--bcher-kva.example", false},
		{"a workspace's name", "pat@customer.example", "Acme Workspace", false},
		{"a name with an address", "pat@customer.example", "Kim <kim@customer.example>", false},
		{"a handle", "pat@customer.example", "@kim", false},
		{"no name", "pat@customer.example", "", false},
		{"a recipient with a phone only", "", "kim@customer.example", false},
	} {
		if got := contact.OtherMailbox(c.recipient, c.account); got != c.other {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

package console_test

import (
	"html"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

// Finding B: every row of a list was "b••@c•••.test", for those who may unmask
// each address as well. The domain is the company, which is what agents look for.
func TestConsoleBAgentsSeeTheDomainOfAddressesAndViewersDoNot(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	s.bounced("user-101", "pat.miller@first-customer.example", "Pat")
	s.bounced("user-102", "pat.miles@second-customer.example", "Pat")
	for _, role := range []access.Role{access.RoleViewer, access.RoleAgent, access.RoleLead, access.RoleAdmin} {
		b := s.signedIn(string(role), map[string]access.Role{"default": role})
		root := "/console/default/test"
		for name, a := range map[string]answer{
			"the list": b.get(root + "/invites"), "a search": b.find("Pat"),
			"the person": b.get(root + "/people/" + s.ids["user-102"].String()), "the invite": b.get(root + "/invites/" + s.ids["user-102"].String()),
		} {
			page := html.UnescapeString(a.body)
			if role == access.RoleViewer {
				if !strings.Contains(page, "p••@s•••.example") || strings.Contains(page, "customer.example") {
					t.Errorf("%s shows a viewer more than the mask:\n%s", name, page)
				}
				continue
			}
			if !strings.Contains(page, "pa••••@second-customer.example") || strings.Contains(page, "pat.mil") || strings.Contains(page, "p••@s•••") {
				t.Errorf("%s shows %s not the domain alone:\n%s", name, role, page)
			}
		}
	}
}

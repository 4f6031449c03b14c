package find

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// said is a meaning in words that can be compared.
func said(m meaning) string {
	var out []string
	add := func(what string, values ...string) {
		for _, v := range values {
			if v != "" {
				out = append(out, what+" "+v)
			}
		}
	}
	for _, id := range m.invites {
		add("invite", id.String())
	}
	for _, id := range m.deliveries {
		add("delivery", id.String())
	}
	for _, id := range m.requests {
		add("request", id.String())
	}
	reveal := func(what string, secrets []secret.Text) {
		for _, s := range secrets {
			add(what, s.Reveal())
		}
	}
	reveal("code", m.codes)
	reveal("token", m.tokens)
	add("account", m.accounts...)
	add("email", m.emails...)
	add("phone", m.phone)
	add("domain", m.domain)
	add("last4", m.last4)
	add("name", strings.Join(m.name, "+"))
	return strings.Join(out, ", ")
}

func TestWhateverIsPastedIsUnderstood(t *testing.T) {
	t.Parallel()
	inv, dlv := invite.New[invite.ID]().String(), invite.New[invite.DeliveryID]().String()
	req := "req_" + strings.TrimPrefix(invite.New[invite.ID]().String(), "inv_")
	const code = "Ab3Ab3Ab3Ab3Ab3Ab3Ab"
	for text, want := range map[string]string{
		"pat@customer.example":                              "email pat@customer.example",
		"  Pat@Customer.Example. ":                          "email pat@customer.example",
		`"Pat Doe" <pat@customer.example>`:                  "email pat@customer.example",
		"mailto:pat@customer.example?subject=Hello%20Pat":   "email pat@customer.example",
		"pat@customer.example sam@customer.example":         "email pat@customer.example, email sam@customer.example",
		"+1 (202) 555-0147":                                 "phone +12025550147",
		"tel:+12025550147":                                  "phone +12025550147",
		"\u202a202 555 0147\u202c":                          "phone +12025550147",
		inv:                                                 "invite " + inv,
		strings.ToUpper(inv):                                "invite " + inv,
		"see https://connect.acme.example/console/x/" + inv: "invite " + inv,
		dlv:                                 "delivery " + dlv,
		req:                                 "request " + req,
		"/requests/" + req:                  "request " + req,
		code:                                "code " + code,
		"https://go.acme.example/c/" + code: "code " + code,
		"https://go.acme.example/c/" + code + "?utm=x#top":                                      "code " + code,
		"https://go.acme.example/done/" + code:                                                  "code " + code,
		"https://pipedream.com/_static/connect.html?token=ctok_12ab&connectLink=true&app=slack": "token ctok_12ab",
		"apn_7xKd9":         "account apn_7xKd9, name apn+7xkd9",
		"@customer.example": "domain customer.example",
		"customer.example":  "domain customer.example",
		"0147":              "last4 0147",
		"…0147":             "last4 0147",
		"Pat  Doé":          "name pat+doe",
		"user_8812":         "name user+8812",
		"":                  "",
		"\x00\xff\u200b":    "",
		"***":               "",
	} {
		m := understand(text, "US")
		if diff := cmp.Diff(want, said(m)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	if got := understand("  user-1 ", "US").user; got != "user-1" {
		t.Errorf("an external user id is looked up as %q", got)
	}
	if got := understand("14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0", "US").messages; len(got) != 2 || got[1] != "14c5d75ce93" {
		t.Errorf("an event's message id is looked up as %q", got)
	}
}

func FuzzUnderstand(f *testing.F) {
	for _, s := range []string{"pat@customer.example", "+1 202 555 0147", "https://x/c/Ab3Ab3Ab3Ab3Ab3Ab3Ab", "inv_0", "\xff\x00", strings.Repeat("@", 5000)} {
		f.Add(s, "US")
	}
	f.Fuzz(func(t *testing.T, text, region string) {
		m := understand(text, region)
		if len(m.user) > maxSearch || len(m.name) > 8 {
			t.Errorf("%q means more than it says: %d bytes, %d words", text, len(m.user), len(m.name))
		}
	})
}

// FuzzParsePosition reads any cursor: one that is read is written the same way.
func FuzzParsePosition(f *testing.F) {
	f.Add("evc_")
	f.Add(Position{Xact: 7}.String())
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := ParsePosition(s); err == nil && p.String() != s {
			t.Errorf("%q is read as %q", s, p)
		}
	})
}

package console_test

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// stock is a site with invites of which one thing or another differs.
type stock struct {
	*site
	box *seal.Box
	ids map[string]invite.ID
}

func (s *stock) add(name string, c invite.Content, change func(*ledger.New)) {
	s.t.Helper()
	row := ledger.New{
		ID: invite.New[invite.ID](), Place: invite.Place{Project: "default"}, Environment: "development", Status: invite.Active, Channel: invite.Email, LinkType: invite.InviteLink,
		InitiatedBy: invite.ByProduct, ExternalUserID: name, App: invite.App{Slug: "slack", Name: "Slack"}, ExpiresIn: time.Hour, CreatedBy: invite.New[invite.KeyID](),
		Event: invite.Event{ID: invite.New[invite.EventID](), Type: invite.EventCreated},
		Code:  ledger.Code{ID: invite.New[invite.EventID]().UUID(), Digest: []byte(name), Sealed: []byte{}},
	}
	change(&row)
	plain := must[[]byte](s.t)(json.Marshal(c))
	row.Content = must[[]byte](s.t)(s.box.Seal(plain, seal.AD{Column: "invites.content", ID: row.ID.UUID()}))
	row.Terms = ledger.Terms(s.box, row.Place, c)
	if _, err := ledger.Insert(s.t.Context(), s.db, []ledger.New{row}); err != nil {
		s.t.Fatal(err)
	}
	s.ids[name] = row.ID
}

func TestTheListOfInvitesIsNarrowedByWhatStandsInTheAddress(t *testing.T) {
	t.Parallel()
	box := must[*seal.Box](t)(seal.NewBox(must[*seal.Keyset](t)(seal.NewKeyset())))
	s := &stock{newSiteOn(t, postgrestest.Pool(t), box, func(*console.Params) {}), box, map[string]invite.ID{}}
	pat := invite.Content{Recipient: invite.Recipient{Email: "pat@customer.example"}, Inviter: "Sam Rivera"}
	s.add("plain", pat, func(*ledger.New) {})
	s.add("by text", pat, func(r *ledger.New) { r.Channel = invite.SMS })
	s.add("other app", invite.Content{Recipient: pat.Recipient, Inviter: pat.Inviter, Metadata: map[string]string{"team": "sales"}}, func(r *ledger.New) { r.App.Slug = "notion" })
	s.add("other inviter", invite.Content{Recipient: pat.Recipient, Inviter: "José Ávila"}, func(*ledger.New) {})
	s.add("failed", pat, func(r *ledger.New) {
		r.Delivery = &ledger.Delivery{ID: invite.New[invite.DeliveryID](), Number: 1, Channel: invite.Email, Kind: "first", Lane: invite.Place{Project: "default"}.Lane(invite.Email)}
	})
	s.add("old", pat, func(r *ledger.New) {
		u := r.ID.UUID()
		copy(u[:6], []byte{0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00}) // 14 November 2023
		r.ID = must[invite.ID](t)(invite.Parse[invite.ID]("inv_" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(u[:]))))
	})
	s.add("live", pat, func(r *ledger.New) { r.Live = true })
	s.exec(`UPDATE invites SET status = 'failed' WHERE id = $1`, s.ids["failed"])
	s.exec(`UPDATE deliveries SET status = 'bounced', reason = 'mailbox_unavailable' WHERE invite_id = $1`, s.ids["failed"])
	s.exec(`INSERT INTO events (id, invite_id, project_id, livemode, seq, type, actor, actor_id, data, occurred_at)
		SELECT gen_random_uuid(), id, project_id, livemode, 2, 'delivery.bounced', 'provider', '', '{}', now() FROM invites WHERE id = $1`, s.ids["failed"])
	s.exec(`UPDATE invites SET created_at = '2023-11-14T22:13:20Z' WHERE id = $1`, s.ids["old"])

	b := s.signedIn("viewer", map[string]access.Role{"default": access.RoleViewer})
	all := []string{"by text", "failed", "old", "other app", "other inviter", "plain"}
	but := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(names, n) })
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for q, want := range map[string][]string{
		"":                    all,
		"status=failed":       {"failed"},
		"status=active":       but("failed"),
		"status=nonsense":     all,
		"channel=sms":         {"by text"},
		"app=notion":          {"other app"},
		"inviter=sam++rivera": but("other inviter"),
		"inviter=" + url.QueryEscape("Jose AVILA"): {"other inviter"},
		"inviter=Sam":                                 {},
		"inviter=%E2%80%94":                           {}, // a dash matches neither invites without an inviter nor all invites
		"inviter=%00":                                 {},
		"reason=mailbox_unavailable":                  {"failed"},
		"reason=opted_out":                            {},
		"domain=customer.example":                     all,
		"domain=Pat%40Customer.Example":               all,
		"domain=else.example":                         {},
		"domain=%E2%80%94":                            {}, // no domain
		"domain=customer.example&app=notion":          {"other app"},
		"metadata=team%3Dsales":                       {"other app"},
		"metadata=+team+%3D+sales&status=failed":      {},
		"metadata=team%3Dsupport":                     {},
		"metadata=team":                               all, // no pair
		"template=0123456789ab":                       {},
		"template=%27":                                all, // no version
		"metadata=owner%3Dpat%40customer.example":     all, // an address stays in no link
		"failed_since=2023-11-14T00:00":               {"failed"},
		"status=failed&failed_until=2023-11-14T00:00": {},
		"failed_since=2023-11-14T00:00&failed_until=2023-11-15T00:00": {},
		"failed_since=yesterday":          all,
		"within=day":                      {"failed"},
		"status=active&within=day":        but("failed"), // contradicts the status
		"since=" + today:                  but("old"),
		"until=2023-11-14":                {"old"},
		"until=" + today:                  all,
		"since=2023-11-14&until=" + today: all,
		"until=yesterday":                 all,
		"inviter=sam+rivera&channel=email&app=slack&since=" + today:                                                              {"failed", "plain"},
		"inviter=sam+rivera&reason=mailbox_unavailable&status=failed&channel=email&app=slack&since=" + today + "&until=" + today: {"failed"},
	} {
		a := b.get("/console/default/test/invites?" + q)
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", q, a.StatusCode)
		}
		got := []string{}
		for name, id := range s.ids {
			if strings.Contains(a.body, id.String()) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", q, diff)
		}
	}
	// A colleague who is sent the address sees the same form.
	a := b.get("/console/default/test/invites?inviter=Sam+Rivera&until=" + today)
	for _, want := range []string{`name="inviter" type="text" value="Sam Rivera"`, `name="until" type="date" value="` + today + `"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the form lacks %s", want)
		}
	}
}

// A domain with 30 invites: the list and the search say how many there are and
// which of them are shown, and both lead to the rest.
func TestListsSayWhichOfHowManyTheyShow(t *testing.T) {
	t.Parallel()
	box := must[*seal.Box](t)(seal.NewBox(must[*seal.Keyset](t)(seal.NewKeyset())))
	s := &stock{newSiteOn(t, postgrestest.Pool(t), box, func(*console.Params) {}), box, map[string]invite.ID{}}
	for i := range 30 {
		s.add(fmt.Sprintf("user-%d", i), invite.Content{Recipient: invite.Recipient{Email: fmt.Sprintf("pat%d@customer.example", i)}}, func(*ledger.New) {})
	}
	s.add("other", invite.Content{Recipient: invite.Recipient{Email: "sam@else.example"}}, func(*ledger.New) {})
	b := s.signedIn("agent", map[string]access.Role{"default": access.RoleAgent})
	link := func(a answer, rel string) string {
		t.Helper()
		found := regexp.MustCompile(`href="([^"]+)" rel="` + rel + `"`).FindStringSubmatch(a.body)
		if found == nil {
			return ""
		}
		return html.UnescapeString(found[1])
	}
	if strings.Contains(b.find("customer.example").body, "Same domain") {
		t.Error("each match says that its domain is the one that was searched for")
	}
	for name, first := range map[string]string{
		"list":   "/console/default/test/invites?domain=customer.example",
		"search": b.post("/console/default/test/search", url.Values{"q": {"customer.example"}}).location(),
	} {
		newest := b.get(first)
		oldest := b.get(link(newest, "next"))
		again := b.get(link(oldest, "prev"))
		for i, c := range []struct {
			page        answer
			count       string
			rows        int
			older, back bool
		}{{newest, "1–25 of 30", 25, true, false}, {oldest, "26–30 of 30", 5, false, true}, {again, "1–25 of 30", 25, true, false}} {
			if rows := strings.Count(c.page.body, "<tr data-row>"); rows != c.rows || !strings.Contains(c.page.body, ">"+c.count+"<") {
				t.Errorf("%s, page %d: %d rows, want %d of %q", name, i, rows, c.rows, c.count)
			}
			if (link(c.page, "next") != "") != c.older || (link(c.page, "prev") != "") != c.back {
				t.Errorf("%s, page %d: leads to older %q and newer %q", name, i, link(c.page, "next"), link(c.page, "prev"))
			}
		}
	}
}

// Histories and shared screens show the titles of tabs.
func TestTheTitleOfAnInviteNamesThePersonMasked(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, _ := w.invited("pat@customer.example")
	a := w.signedIn("agent", map[string]access.Role{"default": access.RoleAgent}).get("/console/default/test/invites/" + id.String())
	title := regexp.MustCompile(`<title>[^<]*</title>`).FindString(a.body)
	if !regexp.MustCompile(`^<title>TEST · [^ ]+•.* – Slack – .+ · Connect Link</title>$`).MatchString(title) || strings.Contains(title, "pat@") {
		t.Errorf("the title is %s", title)
	}
	heading := regexp.MustCompile(`<h1>.*</h1>`).FindString(a.body)
	if !regexp.MustCompile(`<bdi>[^ ]+•.*</bdi> · <bdi>Slack</bdi></h1>$`).MatchString(heading) || strings.Contains(heading, "pat@") {
		t.Errorf("the heading is %s", heading)
	}
	if !strings.Contains(a.body, `<code id="invite-id">`+id.String()+`</code> <button class="button" type="button" data-copy="invite-id" hidden>`) {
		t.Error("the id cannot be copied")
	}
}

package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// again sends an invite a second time.
func (w *ward) again(id invite.ID) invite.DeliveryID {
	w.t.Helper()
	delivery := invite.New[invite.DeliveryID]()
	if err := postgres.InTx(w.t.Context(), w.db, func(tx pgx.Tx) error {
		return ledger.InsertDelivery(w.t.Context(), tx, id, ledger.Delivery{ID: delivery, Number: 2, Channel: invite.Email, Kind: "resend", Lane: invite.Place{Project: "default"}.Lane(invite.Email)}, nil)
	}); err != nil {
		w.t.Fatal(err)
	}
	ends := time.Now().Add(time.Hour)
	w.move(id, invite.Event{Type: invite.EventResent, Data: invite.Data{Channel: invite.Email, HasLink: true, ExpiresAt: &ends}},
		invite.Event{Type: invite.EventDeliveryQueued, DeliveryID: delivery, Data: invite.Data{Channel: invite.Email}})
	return delivery
}

// sentence is what an invite's page says of where it stands, with its badge.
func (b *browser) sentence(id invite.ID) string {
	b.s.t.Helper()
	a := b.get("/console/default/test/invites/" + id.String())
	if a.StatusCode != http.StatusOK {
		b.s.t.Fatalf("the page: %d", a.StatusCode)
	}
	now := a.body[strings.Index(a.body, `<div class="card now"`):]
	now = now[:strings.Index(now, "</p>")]
	text := regexp.MustCompile(`<[^>]*>|\x{2068}|\x{2069}`).ReplaceAllString(now, " ")
	return strings.Join(strings.Fields(text), " ")
}

// stages are those at the head of an invite's page, as they are read out.
func (b *browser) stages(id invite.ID) (words []string) {
	b.s.t.Helper()
	for _, m := range regexp.MustCompile(`<li data-state="(\w+)"( aria-current="step")?>.*?<span class="sr">([^<]*)</span>`).FindAllStringSubmatch(b.get("/console/default/test/invites/"+id.String()).body, -1) {
		if (m[1] == "now") != (m[2] != "") {
			b.s.t.Errorf("%s: %q", m[3], m[2])
		}
		words = append(words, m[1]+" "+strings.TrimSpace(regexp.MustCompile(`, .* after.*`).ReplaceAllString(m[3], ", later")))
	}
	return words
}

// Regression: an earlier visit hid all later news. An invite that was resent
// and bounced was shown as "opened 3 days ago".
func TestBugABounceIsNotHiddenByAnEarlierVisit(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, _ := w.invited("pat@customer.example")
	b := w.signedIn("pat", map[string]access.Role{"default": access.RoleAgent})
	w.move(id, invite.Event{Type: invite.EventVisited, At: time.Now()})
	if got := b.sentence(id); !strings.Contains(got, "Opened Updates live The person opened it just now and has not continued yet.") {
		t.Errorf("opened: %s", got)
	}
	second := w.again(id)
	w.move(id, invite.Event{Type: invite.EventDeliveryBounced, DeliveryID: second, Data: invite.Data{Reason: invite.AddressNotFound}, At: time.Now()})
	got := b.sentence(id)
	for _, want := range []string{"Bounced Updates live", "Did not reach p••••@customer.example", "The link was opened before that, just now."} {
		if !strings.Contains(got, want) {
			t.Errorf("sent again, and came back: %q lacks %q", got, want)
		}
	}
	if diff := cmp.Diff([]string{"done Created", "done Sent", "failed Not delivered: Bounced", "not_reached Opened: Not reached", "not_reached Connected: Not reached"}, b.stages(id)); diff != "" {
		t.Errorf("sent again, and came back: %s", diff)
	}
	// The person opens the link anyway: the page shows this newest event.
	w.move(id, invite.Event{Type: invite.EventContinued, At: time.Now().Add(time.Second)})
	if got := b.sentence(id); !strings.Contains(got, "The person continued to Pipedream") {
		t.Errorf("went on: %s", got)
	}
	if diff := cmp.Diff([]string{"done Created", "done Sent", "failed Not delivered: Bounced", "done Opened, later", "now Connected: Waiting"}, b.stages(id)); diff != "" {
		t.Errorf("went on: %s", diff)
	}
}

func TestBugARobotsPressIsNotWhenThePersonCame(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	id, _ := w.invited("pat@customer.example")
	b := w.signedIn("pat", map[string]access.Role{"default": access.RoleAgent})
	w.exec(`UPDATE deliveries SET created_at = now() - interval '4 hours'`)
	w.move(id, invite.Event{Type: invite.EventVisited, At: time.Now().Add(-3 * time.Hour)},
		invite.Event{Type: invite.EventContinued, Data: invite.Data{LooksLike: invite.LooksLikeScanner}, At: time.Now()})
	if got := b.sentence(id); !strings.Contains(got, "The person opened it 3 hours ago") {
		t.Errorf("it says %s", got)
	}
}

func TestBugTheSentenceNamesTheAccountAndAnErasure(t *testing.T) {
	t.Parallel()
	w := newWard(t, func(p *console.Params) {
		p.Erasing = must[*erase.Service](t)(erase.New(erasing(p.DB.(*pgxpool.Pool), p.Box)))
	})
	b := w.signedIn("pat", map[string]access.Role{"default": access.RoleLead})
	id, _ := w.invited("pat@customer.example")
	w.move(id, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}, At: time.Now()})
	w.exec(`UPDATE invites SET account_name = $2 WHERE id = $1`, id,
		must[[]byte](t)(w.box.Seal([]byte("Acme Workspace"), seal.AD{Column: "invites.account_name", ID: id.UUID()})))
	if got := b.sentence(id); !strings.Contains(got, "Connected as Acme Workspace just now.") {
		t.Errorf("connected: %s", got)
	}
	id, _ = w.invited("kim@customer.example")
	if a := b.post("/console/default/test/people/"+id.String()+"/erase", map[string][]string{"reason": {"asked for"}}); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("erase: %d %s", a.StatusCode, a.body)
	}
	if got := b.sentence(id); !strings.Contains(got, "Personal data was erased, and the link no longer works.") {
		t.Errorf("erased: %s", got)
	}
}

// Regression: the audit log offered all staff of the installation as a filter,
// and showed each project's administrators the sign-ins of all others.
func TestBugTheAuditLogNamesNobodyOfAnotherProject(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signedIn("Somebody Elsewhere", map[string]access.Role{"other": access.RoleViewer})
	s.signedIn("Nearby Colleague", map[string]access.Role{"default": access.RoleViewer})
	const log = "/console/default/test/audit"
	for role, roles := range map[string]map[string]access.Role{
		"lead": {"default": access.RoleLead}, "admin": {"default": access.RoleAdmin, "other": access.RoleLead},
	} {
		a := s.signedIn(role, roles).get(log)
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Nearby Colleague") {
			t.Errorf("%s: %d", role, a.StatusCode)
		}
		if strings.Contains(a.body, "Somebody Elsewhere") {
			t.Errorf("%s of one project sees who works in another", role)
		}
	}
	for name, roles := range map[string]map[string]access.Role{
		"all": {"*": access.RoleAdmin}, "each": {"default": access.RoleAdmin, "other": access.RoleAdmin},
	} {
		if a := s.signedIn(name, roles).get(log); !strings.Contains(a.body, "Somebody Elsewhere") || !strings.Contains(a.body, "<td data-label=\"Action\"><span>Signed in") {
			t.Errorf("%s: an administrator of everything does not see the sign-ins", name)
		}
	}
}

// An issuer need tell neither name nor address. Once such a person had pages
// without a menu, and no way to sign out.
func TestBugAPersonWithoutANameHasAMenu(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.signedIn("", map[string]access.Role{"default": access.RoleAdmin})
	for _, page := range []string{"home", "team", "audit", "system"} {
		if a := b.get("/console/default/test/" + page); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `action="/console/sign-out"`) {
			t.Errorf("%s: %d", page, a.StatusCode)
		}
	}
}

// One invite that no key opens once took the whole list with it, and the search.
func TestBugAnInviteThatDoesNotOpenIsARowLikeOthers(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	b := w.signedIn("pat", map[string]access.Role{"default": access.RoleViewer})
	w.invited("kim@customer.example")
	lost, _ := w.invited("pat@customer.example")
	w.exec(`UPDATE invites SET content = 'x' WHERE id = $1`, lost)
	for _, page := range []string{"invites", "search?q=customer.example"} {
		if a := b.follow(b.get("/console/default/test/" + page)); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "No longer readable") {
			t.Errorf("%s: %d", page, a.StatusCode)
		}
	}
}

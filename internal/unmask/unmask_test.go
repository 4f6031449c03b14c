package unmask_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/unmask"
)

const publicURL = "https://go.acme.example"

func staff(role access.Role, place invite.Place) access.Principal {
	return access.Staff(invite.New[invite.StaffID]().String(), role, place)
}

type desk struct {
	*tracktest.Kit
	unmask    *unmask.Service
	published int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{Kit: tracktest.New(t)}
	d.unmask = d.with(publicURL)
	return d
}

// with makes the service for a public URL.
func (d *desk) with(publicURL string) *unmask.Service {
	s, err := unmask.New(unmask.Params{
		DB: d.Pool, Box: d.Box, PublicURL: publicURL, Senders: func(invite.Place) []string { return nil },
		Publish: func(context.Context, pgx.Tx, ...ledger.Applied) error { d.published++; return nil },
	})
	if err != nil {
		panic(err) // the collaborators are constants of this file
	}
	return s
}

// log is what the audit log says, as "act target why".
func (d *desk) log(t *testing.T) []string {
	t.Helper()
	page, _, err := account.ListAudit(t.Context(), d.Pool, account.AuditFilter{Place: invite.Place{Project: "default"}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range page {
		out = append(out, strings.TrimSpace(strings.Join([]string{e.Actor, string(e.Act), e.Target, e.InviteID.String(), e.Why}, " ")))
	}
	return out
}

func TestUnmaskingShowsOneRecordAndIsAudited(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	made := d.Invite(tracktest.Options{})
	agent := staff(access.RoleAgent, invite.Place{Project: "default"})
	got, err := d.unmask.Recipient(t.Context(), agent, made.ID)
	if err != nil || got.Email != "pat@customer.example" || got.Phone != "+12025550100" {
		t.Fatalf("shown %q %q, %v", got.Email, got.Phone, err)
	}
	want := []string{agent.Actor() + " unmask " + made.ID.String() + " " + made.ID.String()}
	if diff := cmp.Diff(want, d.log(t)); diff != "" {
		t.Error(diff)
	}
}

func TestALinkIsCopiedForAReasonAndStandsOnTheTimeline(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	made := d.Invite(tracktest.Options{})
	agent := staff(access.RoleAgent, invite.Place{Project: "default"})
	link, err := d.unmask.Link(t.Context(), agent, made.ID, unmask.InPerson)
	if err != nil || link.Reveal() != publicURL+"/c/"+made.Code.Reveal() {
		t.Fatalf("given a link that leads elsewhere, %v", err)
	}
	if diff := cmp.Diff([]string{agent.Actor() + " copy_link " + made.ID.String() + " " + made.ID.String() + " in_person"}, d.log(t)); diff != "" {
		t.Error(diff)
	}
	events, err := find.Events(t.Context(), d.Pool, made.ID)
	if err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1]
	if last.Type != invite.EventCopied || last.Actor != invite.ActorStaff || last.ActorID != agent.ID || last.Data.Why != "in_person" || d.published != 1 {
		t.Errorf("the timeline ends with %+v, published %d times", last, d.published)
	}
	if inv, err := find.Get(t.Context(), d.Pool, invite.Place{Project: "default"}, made.ID); err != nil || inv.Status != invite.Active || inv.Progress != invite.NotOpened {
		t.Errorf("copying changed the invite to %s %s, %v", inv.Status, inv.Progress, err)
	}
}

func TestNothingIsShownToWhomItIsNotFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	made := d.Invite(tracktest.Options{})
	id, _, err := suppression.Insert(t.Context(), d.Pool, d.Box, suppression.Scope{Place: invite.Place{Project: "default"}}, suppression.New{
		Channel: invite.Email, Kind: invite.ByHand, Address: secret.New("pat@customer.example"), Source: suppression.FromAPI,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		by   access.Principal
		want error // nil: as not found
	}{
		"a viewer":        {staff(access.RoleViewer, invite.Place{Project: "default"}), unmask.ErrForbidden},
		"no role":         {staff("", invite.Place{Project: "default"}), unmask.ErrForbidden},
		"a key":           {access.Principal{Kind: access.KindKey, ID: "key_x", Place: invite.Place{Project: "default"}, Role: access.RoleAdmin}, unmask.ErrForbidden},
		"another project": {staff(access.RoleAdmin, invite.Place{Project: "other"}), nil},
		"the other mode":  {staff(access.RoleAdmin, invite.Place{Project: "default", Live: true}), nil},
	} {
		_, err1 := d.unmask.Recipient(t.Context(), c.by, made.ID)
		_, err2 := d.unmask.Link(t.Context(), c.by, made.ID, unmask.InPerson)
		_, err3 := d.unmask.Blocked(t.Context(), c.by, id)
		for what, err := range map[string]error{"recipient": err1, "link": err2, "block": err3} {
			if c.want != nil && !errors.Is(err, c.want) || c.want == nil && invite.CodeOf(err) != invite.CodeInviteNotFound && invite.CodeOf(err) != invite.CodeSuppressionNotFound {
				t.Errorf("%s asks for the %s and gets %v", name, what, err)
			}
		}
	}
	if got := d.log(t); len(got) != 0 {
		t.Errorf("what was not shown is in the log: %v", got)
	}
	address, err := d.unmask.Blocked(t.Context(), staff(access.RoleAgent, invite.Place{Project: "default"}), id)
	if err != nil || address.Reveal() != "pat@customer.example" || len(d.log(t)) != 1 {
		t.Errorf("an agent is shown the blocked address with %v, %d entries", err, len(d.log(t)))
	}
}

func TestNoLinkIsGivenThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	lead := staff(access.RoleLead, invite.Place{Project: "default"})
	ended := d.Invite(tracktest.Options{})
	d.InTx(func(tx pgx.Tx) error {
		_, err := ledger.Append(t.Context(), tx, d.Box, ended.ID, invite.Event{Type: invite.EventRevoked})
		return err
	})
	if _, err := d.unmask.Link(t.Context(), lead, ended.ID, unmask.Testing); invite.CodeOf(err) != invite.CodeInviteEnded {
		t.Errorf("of a revoked invite: %v", err)
	}
	if _, err := d.unmask.Link(t.Context(), lead, d.Invite(tracktest.Options{}).ID, "because"); invite.CodeOf(err) != invite.CodeInvalidRequest {
		t.Errorf("for no known reason: %v", err)
	}
	private := d.with("")
	if _, err := private.Link(t.Context(), lead, d.Invite(tracktest.Options{}).ID, unmask.Testing); invite.CodeOf(err) != invite.CodeUnavailable {
		t.Errorf("without a public address: %v", err)
	}
	if got := d.log(t); len(got) != 0 {
		t.Errorf("what was not given is in the log: %v", got)
	}
}

package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
)

// A person asks for more time: an agent extends the invite from its page, and nothing is sent.
func TestAnAgentExtendsAnInviteFromItsPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 1)
	home := invitesPath + "/" + o.ids["user-0"].String()
	robin := o.as(access.RoleAgent)
	o.exec(`UPDATE invites SET status = 'active', expires_at = now() + interval '2 days', gives_up_at = now() + interval '2 days'`)
	if page := robin.get(home); !strings.Contains(page.body, home+"/extend") {
		t.Error("the page of the invite does not lead to the form")
	}
	form := robin.get(home + "/extend")
	now := time.Now().UTC()
	o.shows(form, "Extend this invite", "Works until "+now.Add(48*time.Hour).Format("2006-01-02 "), "3 days, until "+now.Add(72*time.Hour).Format("2006-01-02 "),
		"30 days, until "+now.Add(30*24*time.Hour).Format("2006-01-02 "), "The link in earlier messages keeps working until the time that you choose. Nothing is sent.")
	if strings.Contains(form.text(), "1 day, until") || !strings.Contains(form.body, `value="604800" checked`) {
		t.Error("the form offers less time than there is, or proposes none")
	}
	none := robin.post(home+"/extend", url.Values{"version": {"1"}})
	if o.shows(none, "seconds from now"); none.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without a choice: %d", none.StatusCode)
	}
	version := o.version("user-0")
	done := robin.follow(robin.post(home+"/extend", url.Values{"version": {version}, "valid_for": {"1209600"}}))
	if again := robin.get(home + "/extend"); strings.Contains(again.text(), "14 days, until") || !strings.Contains(again.text(), "30 days, until") {
		t.Error("the form offers what would change nothing")
	}
	o.shows(done, "Extended. Links in earlier messages work until "+now.Add(14*24*time.Hour).Format("2006-01-02 "), "The time to connect was extended", "Nothing was sent. Links in earlier messages work until")
	if n := o.count(`SELECT count(*) FROM invites WHERE gives_up_at > now() + interval '13 days 23 hours' AND expires_at = gives_up_at`); n != 1 {
		t.Error("the end did not move")
	}
	if n := o.count(`SELECT count(*) FROM deliveries`); n != 1 {
		t.Errorf("%d messages", n)
	}
	// A colleague whose form is older sees what happened in between.
	o.shows(robin.post(home+"/extend", url.Values{"version": {version}, "valid_for": {"2592000"}}), "The invite changed in the meantime", "The time to connect was extended")
	lead := o.as(access.RoleLead)
	o.shows(lead.get("/console/default/test/audit?act=extend"), "Extended an invite", "expires_at")
	o.shows(lead.get(home), "A colleague extended it")
}

func TestExtendingIsOfferedWhereItApplies(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 1)
	home := invitesPath + "/" + o.ids["user-0"].String()
	robin, viewer := o.as(access.RoleAgent), o.as(access.RoleViewer)
	if strings.Contains(viewer.get(home).body, home+"/extend") {
		t.Error("a viewer is offered to extend")
	}
	if a := viewer.get(home + "/extend"); a.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer opens the form: %d", a.StatusCode)
	}
	for name, sql := range map[string]string{
		"expired": `UPDATE invites SET status = 'expired'`, "overdue": `UPDATE invites SET status = 'active', gives_up_at = now()`,
		"Pipedream's own link": `UPDATE invites SET status = 'active', gives_up_at = now() + interval '1 day', link_type = 'connect'`,
		"revoked":              `UPDATE invites SET link_type = 'invite', status = 'revoked'`,
	} {
		o.exec(`UPDATE invites SET link_type = 'invite', gives_up_at = now() + interval '1 day'`)
		o.exec(sql)
		if strings.Contains(robin.get(home).body, home+"/extend") {
			t.Errorf("%s: the page offers to extend", name)
		}
		o.shows(robin.get(home+"/extend"), "This invite cannot be extended. Resend it, or create a new one.")
		refused := robin.post(home+"/extend", url.Values{"valid_for": {"2592000"}, "version": {o.version("user-0")}})
		if refused.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, refused.StatusCode)
		}
	}
	if n := o.count(`SELECT count(*) FROM events WHERE type = 'extended'`); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestManyInvitesAreExtendedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 30)
	o.exec(`UPDATE invites SET status = 'expired' WHERE id = $1`, o.ids["user-0"])
	o.exec(`UPDATE invites SET gives_up_at = now() + interval '20 days', expires_at = now() + interval '20 days' WHERE id = $1`, o.ids["user-1"])
	robin := o.as(access.RoleAgent)
	list := robin.get(invitesPath)
	o.shows(list, "Extend…", "14 days from now")
	for name, values := range map[string]url.Values{"no time": {}, "no number": {"valid_for": {"x"}}, "too long": {"valid_for": {"2592001"}}} {
		values.Set("scope", "all")
		values.Set("act", "extend")
		o.shows(robin.follow(robin.post(bulkPath, values)), "Nothing was done. Choose how long the invites work from now on, at most 30 days.")
		if n := o.count(`SELECT count(*) FROM bulk_acts`); n != 0 {
			t.Errorf("%s: a dry run is stored", name)
		}
	}
	plan := robin.post(bulkPath, url.Values{"scope": {"all"}, "act": {"extend"}, "valid_for": {"1209600"}})
	dry := robin.follow(plan)
	ends := time.Now().UTC().Add(14 * 24 * time.Hour).Format("2006-01-02 ")
	o.shows(dry, "Extend invites to 14 days from now", "Dry run: nothing was sent or changed yet", "28 invites will be changed", "2 left out", "1 · Expired; resend it instead",
		"1 · Works longer than this already", "Links in earlier messages keep working for 14 days from now on, until about "+ends, "Nothing is sent.", "Extend 28 invites")
	if strings.Contains(dry.text(), "emails") {
		t.Error("the dry run counts messages")
	}
	o.shows(robin.follow(robin.post(plan.location()+"/confirm", nil)), "Started.", "2 of 30")
	if n := o.run(); n != 28 {
		t.Errorf("%d of 28 items are over", n)
	}
	o.shows(robin.get(plan.location()), "Finished", "Done 28", "Left out 2")
	if n := o.count(`SELECT count(*) FROM invites WHERE gives_up_at BETWEEN now() + interval '13 days 23 hours' AND now() + interval '14 days'`); n != 28 {
		t.Errorf("%d invites end in 14 days", n)
	}
	o.shows(robin.get(invitesPath+"/"+o.ids["user-3"].String()), "The time to connect was extended", "part of a bulk action")
	o.shows(o.as(access.RoleLead).get("/console/default/test/audit?act=bulk"), "act extend, invites 28, left_out 2, selection all, valid_for 1209600")
}

func (o *office) version(user string) string {
	o.t.Helper()
	var v string
	if err := o.db.QueryRow(o.t.Context(), `SELECT seq::text FROM invites WHERE id = $1`, o.ids[user]).Scan(&v); err != nil {
		o.t.Fatal(err)
	}
	return v
}

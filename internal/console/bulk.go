package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/bulk"
	"github.com/connectlink/connectlink/internal/store/find"
)

// The values of the choice of what an act is about.
const (
	scopeTicked = "ticked"
	scopePage   = "page"
	scopeAll    = "all"
)

// collectWithin is how long the invites of a list are collected at most.
const collectWithin = 20 * time.Second

// bulkBar is the form above a list that selects invites and begins an act on them. Its boxes
// stand in the rows. The zero value is of roles that may do none.
type bulkBar struct {
	Form   string // its address, with the list's filters
	Page   string // the ids of the page
	Rows   int
	All    string // the choice of all matches, in words; empty where the page has all
	Acts   []bulkChoice
	Lives  []view.Choice // of the act that extends: the times from now
	Latest string        // the list of acts
	File   string        // the form for a file of corrections
}

// bulkChoice is an act of the bar.
type bulkChoice struct{ Value, Icon, Text string }

// bulkChoices are the acts on a list, of those that the role may do.
func (p *page) bulkChoices() []bulkChoice {
	var out []bulkChoice
	for _, c := range []struct {
		act  access.Act
		kind bulk.Kind
		bulkChoice
	}{
		{access.ActResend, bulk.Resend, bulkChoice{string(bulk.Resend), "send", p.t("Resend…")}},
		{access.ActResend, bulk.Switch, bulkChoice{"to_email", "mail", p.t("Switch to email…")}},
		{access.ActResend, bulk.Switch, bulkChoice{"to_sms", "phone", p.t("Switch to SMS…")}},
		{access.ActExtend, bulk.Extend, bulkChoice{string(bulk.Extend), "clock", p.t("Extend…")}},
		{access.ActRevoke, bulk.Revoke, bulkChoice{string(bulk.Revoke), "x", p.t("Revoke…")}},
	} {
		if p.by.May(c.act) {
			out = append(out, c.bulkChoice)
		}
	}
	return out
}

// chosenAct reads the act of a form; ok is false for none that there is.
func chosenAct(value string) (kind bulk.Kind, ch invite.Channel, ok bool) {
	if to, found := strings.CutPrefix(value, "to_"); found {
		ch = invite.Channel(to)
		return bulk.Switch, ch, ch.Sends()
	}
	kind = bulk.Kind(value)
	return kind, "", kind == bulk.Resend || kind == bulk.Revoke || kind == bulk.Extend
}

// bulkBar is the bar of a list. total is how many invites it has; 0: that is not known.
func (p *page) bulkBar(rows []inviteRow, total int, more bool, members ...string) *bulkBar {
	if !p.by.May(access.ActBulk) || len(rows) == 0 {
		return nil
	}
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	b := &bulkBar{
		Form: withQuery(p.frame.URL("bulk"), members...), Page: strings.Join(ids, " "), Rows: len(rows), Acts: p.bulkChoices(),
		Latest: p.frame.URL("bulk"), File: withQuery(p.frame.URL("bulk", "correct"), members...),
	}
	for _, lasts := range extensions() {
		b.Lives = append(b.Lives, view.Choice{Value: strconv.Itoa(int(lasts.Seconds())), Text: p.t("%s from now", p.lifeText(lasts)), Chosen: lasts == defaultExtension})
	}
	switch {
	case more:
		b.All = p.t("All that match")
	case total > len(rows):
		b.All = p.frame.TN("All %d that matches", "All %d that match", total)
	}
	return b
}

// startBulk makes the dry run of an act on the selected invites of a list.
func (s *console) startBulk(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	back := s.listOf(p)
	kind, ch, ok := chosenAct(form.Get("act"))
	if !ok {
		return p.done(back, "bad", p.t("Nothing was done. Choose an action."))
	}
	req := issue.BulkRequest{Kind: kind, Channel: ch, Selection: scopeTicked}
	if kind == bulk.Extend {
		req.Extend = readExtension(form.Get("valid_for"))
	}
	var ids []invite.ID
	switch form.Get("scope") {
	case scopeAll:
		if req.Selection, ids, err = s.collect(p); err != nil {
			return err
		}
	case scopePage:
		req.Selection, ids = scopePage, parseIDs(strings.Fields(form.Get("page")))
	default:
		ids = parseIDs(form["id"])
	}
	for _, id := range ids {
		req.Targets = append(req.Targets, issue.BulkTarget{Invite: id})
	}
	return s.planBulk(p, req, back)
}

// planBulk plans an act and goes on to its page.
func (s *console) planBulk(p *page, req issue.BulkRequest, back string) error {
	id, err := s.Invites.PlanBulk(p.ctx(), p.by, req)
	if text := p.bulkRefusal(err); text != "" {
		return p.done(back, "bad", text)
	}
	if err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, p.bulkURL(id))
}

// bulkRefusal is an error of a bulk act in words; empty where it is none.
func (p *page) bulkRefusal(err error) string {
	var size *issue.BulkSizeError
	switch {
	case errors.As(err, &size) && size.Most < issue.MaxBulk:
		return p.t("Nothing was done. You can change at most %d invites at once. Narrow the filter, or ask a lead.", size.Most)
	case errors.As(err, &size):
		return p.t("Nothing was done. At most %d invites can be changed at once. Narrow the filter.", size.Most)
	case errors.Is(err, issue.ErrBulkEmpty):
		return p.t("Nothing was done. Select at least one invite.")
	case invite.CodeOf(err) == invite.CodeInvalidRequest:
		return p.t("Nothing was done. Choose how long the invites work from now on, at most 30 days.")
	case errors.Is(err, issue.ErrBulkForbidden):
		return p.t("Nothing was done. Your role does not allow this.")
	case errors.Is(err, issue.ErrBulkOver):
		return p.t("Nothing was done. The action is over; start a new one from the list.")
	}
	return ""
}

// listOf is the address of the list that a form was on.
func (s *console) listOf(p *page) string {
	if p.QueryParam("of") != "" {
		return withQuery(p.frame.URL("search"), p.listMembers()...)
	}
	return withQuery(p.frame.URL("invites"), p.listMembers()...)
}

// listMembers name the list that a page was reached from: a search, or the filters. The
// addresses of bulk acts carry them, so that the way back leads to the same list.
func (p *page) listMembers() []string {
	if of := p.QueryParam("of"); of != "" {
		return []string{"of", of}
	}
	return filtersOf(p).members()
}

// bulkURL is the address of an act, with the list that it was begun on.
func (p *page) bulkURL(id invite.BulkID, members ...string) string {
	return withQuery(p.frame.URL("bulk", id.String()), append(p.listMembers(), members...)...)
}

// parseIDs reads ids of invites; others are left out.
func parseIDs(words []string) []invite.ID {
	var out []invite.ID
	for _, w := range words {
		if id, err := invite.Parse[invite.ID](w); err == nil {
			out = append(out, id)
		}
	}
	return out
}

// collect returns the ids of the list that the address names, and how it was
// narrowed, for the audit log. It stops soon after the role's maximum.
func (s *console) collect(p *page) (selection string, ids []invite.ID, err error) {
	ctx, cancel := context.WithTimeout(p.ctx(), collectWithin)
	defer cancel()
	most := issue.MaxBulkOf(p.by)
	if of := p.QueryParam("of"); of != "" {
		text, found, err := s.Staff.Search(ctx, p.signed.Session.ID, of)
		if err != nil || !found {
			return "search", nil, err
		}
		var hits find.Found
		err = s.Lists.Read(ctx, func(db postgres.DB) (err error) {
			hits, err = find.Search(ctx, db, s.Box, find.Query{Place: p.by.Place, Region: p.project.Brand.Region, Text: text, Limit: min(most+1, find.MaxHits)})
			return err
		})
		for _, h := range hits.Hits {
			ids = append(ids, h.ID)
		}
		return "search", ids, err
	}
	narrowed := filtersOf(p)
	f := narrowed.filter(p)
	selection = strings.Join(append([]string{scopeAll}, narrowed.forAudit()...), " ")
	if !narrowed.isPossible(f) {
		return selection, nil, nil
	}
	f.Limit = 500
	for {
		list, next, err := s.listInvites(ctx, f)
		if err != nil {
			return selection, nil, err
		}
		for _, inv := range list {
			ids = append(ids, inv.ID)
		}
		if next.IsZero() || len(ids) > most {
			return selection, ids, nil
		}
		f.After = next
	}
}

// forAudit are the filters that are set: with their values where those are words of
// fixed lists or dates, else their names alone.
func (f filters) forAudit() []string {
	var out []string
	for members := f.members(); len(members) > 0; members = members[2:] {
		switch name, value := members[0], members[1]; {
		case value == "":
		case slices.Contains([]string{"app", "inviter", "domain"}, name):
			out = append(out, name)
		default:
			out = append(out, name+"="+value)
		}
	}
	return out
}

// ofBulk makes a page of one about the act that the path names.
func ofBulk(do func(*page, bulk.Act) error) func(*page) error {
	return func(p *page) error {
		id, err := invite.Parse[invite.BulkID](p.Param("id"))
		if err != nil {
			return p.missing()
		}
		act, err := bulk.Get(p.ctx(), p.DB, p.by.Place, id)
		if errors.Is(err, bulk.ErrNotFound) {
			return p.missing()
		}
		if err != nil {
			return err
		}
		return do(p, act)
	}
}

// confirmBulk starts the act of a dry run.
func (s *console) confirmBulk(p *page, act bulk.Act) error {
	home := p.bulkURL(act.ID)
	err := s.Invites.ConfirmBulk(p.ctx(), p.by, act.ID)
	if text := p.bulkRefusal(err); text != "" {
		return p.done(home, "bad", text)
	}
	if err != nil {
		return err
	}
	return p.done(home, "good", p.t("Started. You can leave this page; the work goes on."))
}

// stopBulk stops an act.
func (s *console) stopBulk(p *page, act bulk.Act) error {
	home := p.bulkURL(act.ID)
	err := s.Invites.StopBulk(p.ctx(), p.by, act.ID)
	if text := p.bulkRefusal(err); text != "" {
		return p.done(home, "bad", text)
	}
	if err != nil {
		return err
	}
	return p.done(home, "good", p.t("Stopped. Invites that were not begun stay as they are."))
}

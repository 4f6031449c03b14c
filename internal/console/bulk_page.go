package console

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/export"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/bulk"
	"github.com/connectlink/connectlink/internal/store/find"
)

const (
	// perReport is how many lines of a report are on a page.
	perReport = 50
	// doubtLines is how many lines of a file are named beside a doubt.
	doubtLines = 10
)

// bulkPage is an act on many invites: its dry run, and from its confirmation on its
// progress and its report.
type bulkPage struct {
	*view.Base
	Home, Back string
	List       string // of its address: the list that it was begun on, empty or with its question mark
	State      bulk.State
	Who        string
	At         time.Time // of the dry run, the confirmation or the end
	Selected   string    // how the invites were selected
	Change     int       // invites to change
	Button     string    // confirms
	Expired    bool      // the dry run is too old
	Effect     string
	Messages   string
	Cost       string
	Doubts     []bulkDoubt
	Left       []bulkCount // left out, by reason
	LeftOut    int
	Tallies    []bulkTally
	Items      int
	Over       int         // items
	Causes     []bulkCount // of failures
	CanStop    bool
	CanConfirm bool
	Rows       []bulkRow
	Views      []tab
	Newer      string
	Older      string
	Export     exportLinks
}

// bulkDoubt is a doubt to look at again before the confirmation.
type bulkDoubt struct {
	Text, Lines string
}

// bulkCount is how many items have a reason.
type bulkCount struct {
	Items int
	Text  string
}

// bulkTally is how many items have a state.
type bulkTally struct {
	Badge view.Badge
	Items int

	state bulk.ItemState
}

// bulkRow is a line of the report.
type bulkRow struct {
	inviteRow
	Line  string
	State view.Badge
	Cause string
}

// bulkAct shows an act.
func (s *console) bulkAct(p *page, act bulk.Act) error {
	counts, err := bulk.CountItems(p.ctx(), s.DB, act.Place, act.ID)
	if err != nil {
		return err
	}
	names, err := s.names(p)
	if err != nil {
		return err
	}
	b := p.base(p.bulkTitle(act), "invites")
	d := bulkPage{
		Base: b, Home: b.URL("bulk", act.ID.String()), Back: s.listOf(p), List: withQuery("", p.listMembers()...), State: act.State, At: act.CreatedAt, Selected: p.selected(act.Selection),
		Who: names[string(access.KindStaff)+":"+act.StaffID.String()], Effect: p.bulkEffect(act), CanStop: p.by.May(access.ActBulk) && act.State == bulk.Running,
	}
	switch {
	case act.EndedAt != nil:
		d.At = *act.EndedAt
	case act.ConfirmedAt != nil:
		d.At = *act.ConfirmedAt
	}
	d.count(p, counts)
	if act.State == bulk.Draft {
		if err := s.draftBulk(p, act, counts, &d); err != nil {
			return err
		}
	}
	if err := s.reportBulk(p, act, &d); err != nil {
		return err
	}
	return p.show("bulk", d)
}

// count sums the items by state and by reason.
func (d *bulkPage) count(p *page, counts []bulk.Count) {
	states := map[bulk.ItemState]int{}
	left, causes := map[string]int{}, map[string]int{}
	var leftOrder, causeOrder []string
	for _, c := range counts {
		states[c.State] += c.Items
		d.Items += c.Items
		switch {
		case c.State == bulk.LeftOut:
			if left[c.Reason] == 0 {
				leftOrder = append(leftOrder, c.Reason)
			}
			left[c.Reason] += c.Items
		case c.Reason != "":
			if causes[c.Reason] == 0 {
				causeOrder = append(causeOrder, c.Reason)
			}
			causes[c.Reason] += c.Items
		}
	}
	for _, r := range leftOrder {
		d.Left = append(d.Left, bulkCount{left[r], p.bulkReason(r)})
	}
	for _, r := range causeOrder {
		d.Causes = append(d.Causes, bulkCount{causes[r], p.bulkReason(r)})
	}
	d.Change, d.LeftOut, d.Over = states[bulk.Waiting], states[bulk.LeftOut], d.Items-states[bulk.Waiting]
	for _, st := range bulk.ItemStates() {
		if states[st] > 0 || st == bulk.Done {
			d.Tallies = append(d.Tallies, bulkTally{p.itemBadge(st), states[st], st})
		}
	}
}

// draftBulk adds what a dry run shows beside the counts.
func (s *console) draftBulk(p *page, act bulk.Act, counts []bulk.Count, d *bulkPage) error {
	d.Expired = act.Now.Sub(act.CreatedAt) > bulk.KeepDraft
	d.CanConfirm = d.Change > 0 && !d.Expired && act.StaffID == p.signed.Staff.ID
	d.Button = p.bulkButton(act, d.Change)
	var messages []string
	if act.Emails > 0 {
		messages = append(messages, p.frame.TN("%d email", "%d emails", act.Emails))
	}
	if act.Texts > 0 {
		messages = append(messages, p.frame.TN("%d text message", "%d text messages", act.Texts)+" "+
			p.frame.TN("(counted as %d segment)", "(counted as %d segments)", quota.SMSParts*act.Texts))
	}
	d.Messages = strings.Join(messages, ", ")
	if act.Cost > 0 {
		d.Cost = config.Money(act.Cost).String()
	}
	doubts := map[string]int{}
	var order []string
	for _, c := range counts {
		if c.Doubt != "" && c.State == bulk.Waiting {
			if doubts[c.Doubt] == 0 {
				order = append(order, c.Doubt)
			}
			doubts[c.Doubt] += c.Items
		}
	}
	for _, kind := range order {
		doubt := bulkDoubt{Text: p.bulkDoubt(kind, doubts[kind])}
		if act.Kind == bulk.Correct {
			lines, err := bulk.ListDoubts(p.ctx(), s.DB, act.Place, act.ID, kind, doubtLines)
			if err != nil {
				return err
			}
			words := make([]string, 0, len(lines))
			for _, n := range lines {
				words = append(words, strconv.Itoa(n))
			}
			doubt.Lines = p.t("Lines: %s", strings.Join(words, ", "))
			if doubts[kind] > doubtLines {
				doubt.Lines += " …"
			}
		}
		d.Doubts = append(d.Doubts, doubt)
	}
	return nil
}

// reportBulk adds a page of the report: of each invite, the result and the cause.
func (s *console) reportBulk(p *page, act bulk.Act, d *bulkPage) error {
	state := bulk.ItemState(oneOf(p.QueryParam("state"), bulk.ItemStates()...))
	after, _ := strconv.Atoi(p.QueryParam("after"))
	items, err := bulk.ListItems(p.ctx(), s.DB, act.Place, act.ID, state, max(after, 0), perReport+1)
	if err != nil {
		return err
	}
	if len(items) > perReport {
		items = items[:perReport]
		d.Older = p.bulkURL(act.ID, "state", string(state), "after", strconv.Itoa(items[perReport-1].Number))
	}
	if after > 0 {
		d.Newer = p.bulkURL(act.ID, "state", string(state))
	}
	invites, err := s.invitesOf(p.ctx(), p, items)
	if err != nil {
		return err
	}
	for _, it := range items {
		inv, ok := invites[it.InviteID]
		if !ok {
			continue // deleted in between
		}
		r, err := p.row(inv)
		if err != nil {
			return err
		}
		row := bulkRow{inviteRow: r, Line: strconv.Itoa(it.Number), State: p.itemBadge(it.State), Cause: p.bulkReason(it.Reason)}
		if act.State == bulk.Draft && it.State == bulk.Waiting {
			row.State = p.plannedBadge()
		}
		if it.Line > 0 {
			row.Line = strconv.Itoa(it.Line)
		}
		d.Rows = append(d.Rows, row)
	}
	d.Views = []tab{{p.bulkURL(act.ID), p.t("All"), state == ""}}
	for _, t := range d.Tallies {
		if t.Items > 0 {
			text := t.Badge.Text
			if act.State == bulk.Draft && t.state == bulk.Waiting {
				text = p.plannedBadge().Text
			}
			d.Views = append(d.Views, tab{p.bulkURL(act.ID, "state", string(t.state)), text, state == t.state})
		}
	}
	if act.State != bulk.Draft {
		d.Export = p.exportLinks(d.Home, false)
	}
	return nil
}

// invitesOf reads the invites of items.
func (s *console) invitesOf(ctx context.Context, p *page, items []bulk.Item) (map[invite.ID]find.Invite, error) {
	ids := make([]invite.ID, 0, len(items))
	for _, it := range items {
		ids = append(ids, it.InviteID)
	}
	list, err := find.ListByID(ctx, s.DB, p.by.Place, ids)
	out := make(map[invite.ID]find.Invite, len(list))
	for _, inv := range list {
		out[inv.ID] = inv
	}
	return out, err
}

// exportBulk writes the report of an act.
func (s *console) exportBulk(p *page, act bulk.Act) error {
	at := 0
	list := export.List{Name: "bulk", Columns: []string{"line", "result", "result_reason"}}
	list.Read = func(ctx context.Context, after invite.ID, limit int) (export.Batch, error) {
		if after.IsZero() {
			at = 0
		}
		items, err := bulk.ListItems(ctx, s.DB, act.Place, act.ID, "", at, limit)
		if err != nil {
			return export.Batch{}, err
		}
		invites, err := s.invitesOf(ctx, p, items)
		if err != nil {
			return export.Batch{}, err
		}
		var read []find.Invite
		var extra [][]string
		for _, it := range items {
			at = it.Number
			inv, ok := invites[it.InviteID]
			if !ok {
				continue
			}
			line := it.Number
			if it.Line > 0 {
				line = it.Line
			}
			read, extra = append(read, inv), append(extra, []string{strconv.Itoa(line), string(it.State), it.Reason})
		}
		rows, err := s.exportRows(ctx, p, read)
		for i := range rows {
			rows[i].Extra = extra[i]
		}
		b := export.Batch{Rows: rows}
		if len(items) == limit {
			b.Next = items[limit-1].InviteID
		}
		return b, err
	}
	return s.exportList(p, list)
}

// bulksPage lists the latest acts.
type bulksPage struct {
	*view.Base
	Acts  []bulkLine
	File  string
	Older string
	First string
}

// bulkLine is an act in the list.
type bulkLine struct {
	URL, What, Who string
	At             time.Time
	Items          int
	Badge          view.Badge
}

// perBulks is how many acts a page lists.
const perBulks = 25

func (s *console) bulks(p *page) error {
	before, _ := invite.Parse[invite.BulkID](p.QueryParam("after"))
	list, err := bulk.List(p.ctx(), s.DB, p.by.Place, before, perBulks+1)
	if err != nil {
		return err
	}
	names, err := s.names(p)
	if err != nil {
		return err
	}
	b := p.base(p.t("Bulk actions"), "invites")
	d := bulksPage{Base: b}
	if p.by.May(access.ActCorrect) {
		d.File = b.URL("bulk", "correct")
	}
	if len(list) > perBulks {
		list = list[:perBulks]
		d.Older = withQuery(b.URL("bulk"), "after", list[perBulks-1].ID.String())
	}
	if !before.IsZero() {
		d.First = b.URL("bulk")
	}
	for _, act := range list {
		d.Acts = append(d.Acts, bulkLine{
			URL: b.URL("bulk", act.ID.String()), What: p.bulkTitle(act), Who: names[string(access.KindStaff)+":"+act.StaffID.String()],
			At: orZero(act.ConfirmedAt), Items: act.Items, Badge: p.actBadge(act.State),
		})
	}
	return p.show("bulks", d)
}

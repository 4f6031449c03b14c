package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/bulk"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/web"
)

// invitePage is all there is to say about one invite.
type invitePage struct {
	*view.Base
	ID, App, Home string // Home is the page's own address
	Reference     string // what recipients read out
	Mark          appMark
	Badge         view.Badge
	Sentence      string
	Step          story.Step
	StepText      string
	StepURL       string
	StepSends     bool // its form fits into the drawer
	CanResend     bool
	CanExtend     bool
	CanRevoke     bool
	CanCopy       bool
	Stages        []story.Stage
	Tries         []story.Try
	Person        person
	Health        *healthCard  // nil: there is no connected account, and no reconnection
	Facts         []story.Fact // if technical details are shown
	CanTechnical  bool
	Technical     bool // technical details are shown
	Others        []inviteRow
	Audit         []auditLine
	attendance
}

// person is who an invite is for, as it may be shown.
type person struct {
	Name, Email, Phone string
	User, UserURL      string
	Language, Zone     string
	Inviter, Reason    string
	Note               string
	Erased             bool
	ShownFor           int     // seconds for which it is unmasked; 0: it is masked
	Masked             *person // what stands there afterwards
	Metadata           []story.Fact
}

type auditLine struct {
	view.Tick
	Who, What, Why string
	Bulk           string // the act on many invites that it was a part of
}

// invite shows one invite, or streams what changes on its page.
func (s *console) invite(p *page) error {
	inv, err := p.invite()
	if err != nil {
		return p.orMissing(err)
	}
	if web.WantsEvents(p) {
		return s.follow(p, inv.ID)
	}
	d, err := s.inviteData(p, inv)
	if err != nil {
		return err
	}
	if err := s.disclose(p, inv, &d); err != nil {
		return err
	}
	if d.attendance, err = s.attendance(p, inv); err != nil {
		return err
	}
	return p.show("invite", d)
}

// errMissing is an id of nothing here.
var errMissing = errors.New("nothing here has this id")

// invite reads the invite that the address names.
func (p *page) invite() (opened, error) {
	id, err := invite.Parse[invite.ID](p.Param("id"))
	if err != nil {
		return opened{}, errMissing
	}
	inv, err := find.Get(p.ctx(), p.DB, p.by.Place, id)
	if errors.Is(err, find.ErrNotFound) {
		return opened{}, errMissing
	}
	if err != nil {
		return opened{}, err
	}
	return p.open(inv)
}

// orMissing turns errMissing into its page, and passes anything else on.
func (p *page) orMissing(err error) error {
	if errors.Is(err, errMissing) {
		return p.missing()
	}
	return err
}

func (s *console) inviteData(p *page, o opened) (invitePage, error) {
	events, err := find.Events(p.ctx(), s.DB, o.ID)
	if err != nil {
		return invitePage{}, err
	}
	b := p.base(p.personName(o), "invites")
	situation, err := p.situation(o, events)
	if err != nil {
		return invitePage{}, err
	}
	d := invitePage{
		Base: b, ID: o.ID.String(), Reference: invite.ReferenceOf(o.ID), App: o.AppName, Mark: p.mark(o.Invite), Home: b.URL("invites", o.ID.String()), Badge: p.standing(o, situation),
		Sentence: story.Sentence(b, situation), Person: p.person(o), Health: p.health(o),
		CanResend: p.by.May(access.ActResend) && isResendable(o.Status),
		CanExtend: p.canExtend(o),
		CanRevoke: p.by.May(access.ActRevoke) && o.Status != invite.Connected && o.Status != invite.Revoked,
		CanCopy:   p.by.May(access.ActCopyLink) && o.Code != nil && (o.Status == invite.Pending || o.Status == invite.Active || o.Status == invite.Failed),
	}
	b.Tab = p.tabTitle(o, d.Badge.Text)
	d.Step, d.StepText = story.Next(b, situation)
	d.StepURL = p.stepURL(d.Home, d.Step)
	if d.Step == story.StepLift {
		if err := s.stepLift(p, o, &d); err != nil {
			return d, err
		}
	}
	if d.StepURL == "" {
		d.Step, d.StepText = story.StepNone, ""
	}
	d.StepSends = strings.HasPrefix(d.StepURL, d.Home+"/resend")
	happened, err := s.happened(events)
	if err != nil {
		return d, err
	}
	d.CanTechnical = p.by.May(access.ActTechnical)
	d.Technical = d.CanTechnical && p.QueryParam("details") != ""
	d.Stages, d.Tries = story.Rail(b, situation, happened), s.tries(p, o, happened, d.Technical)
	if d.Technical {
		d.Facts = technicalFacts(o)
	}
	if d.Others, err = s.others(p, o); err != nil {
		return d, err
	}
	if p.by.May(access.ActAuditLog) {
		d.Audit, err = s.auditOf(p, o.ID)
	}
	return d, err
}

func isResendable(s invite.Status) bool {
	return s == invite.Pending || s == invite.Active || s == invite.Expired || s == invite.Failed
}

// person is masked: unmasking is an act of its own.
func (p *page) person(o opened) person {
	c := o.content
	out := person{
		Name: story.MaskName(c.Recipient.Name), Email: o.masked(invite.FieldEmail), Phone: o.masked(invite.FieldPhone),
		User: p.maskedUser(o), UserURL: p.personURL(o.ID), Language: c.Recipient.Locale, Zone: c.Recipient.TimeZone,
		Inviter: story.MaskText(c.Inviter), Reason: story.MaskText(c.Reason), Note: story.MaskText(c.Note), Erased: o.erased(),
	}
	for _, k := range sortedKeys(c.Metadata) {
		out.Metadata = append(out.Metadata, story.Fact{Name: story.MaskText(k), Value: story.MaskText(c.Metadata[k])})
	}
	return out
}

// personURL leads to a person by one of their invites: their own id may be an
// address, and addresses do not belong into an address bar.
func (p *page) personURL(id invite.ID) string { return p.frame.URL("people", id.String()) }

// happened are the events of an invite as package story needs them, with the words in
// them masked.
func (s *console) happened(events []find.Event) ([]story.Happened, error) {
	happened := make([]story.Happened, 0, len(events))
	for _, e := range events {
		h := story.Happened{
			Seq: e.Seq, Type: e.Type, Actor: invite.Actor{Kind: e.Actor, ID: e.ActorID}, DeliveryID: e.DeliveryID, AttemptID: e.AttemptID,
			Data: e.Data, At: e.OccurredAt,
		}
		if e.Detail != nil {
			words, err := s.Box.Open(e.Detail, seal.AD{Column: "events.detail", ID: e.ID.UUID()})
			if err != nil {
				return nil, fmt.Errorf("open detail of event %s: %w", e.ID, err)
			}
			h.Words = story.MaskText(string(words))
		}
		happened = append(happened, h)
	}
	return happened, nil
}

// tries puts the timeline into words.
func (s *console) tries(p *page, o opened, happened []story.Happened, technical bool) []story.Try {
	tries := story.Timeline(p.frame, happened, o.AppName, s.namer(p))
	if !technical {
		for i := range tries {
			for k := range tries[i].Entries {
				tries[i].Entries[k].Facts = nil
			}
		}
	}
	return tries
}

// namer names who did something: oneself, a colleague, a key of the product.
func (s *console) namer(p *page) func(invite.Actor) string {
	keys := map[string]string{}
	if list, err := s.Keys.List(p.ctx(), p.by.Project); err == nil {
		for _, k := range list {
			keys[k.ID.String()] = k.Name
		}
	}
	return func(a invite.Actor) string {
		switch a.Kind {
		case invite.ActorStaff:
			if a.ID == p.by.ID {
				return p.t("You")
			}
			return p.t("A colleague")
		case invite.ActorKey:
			if name := keys[a.ID]; name != "" {
				return p.t("API key %s", "\u2068"+name+"\u2069")
			}
			return p.t("API key")
		case invite.ActorRecipient:
			return p.t("The recipient")
		case invite.ActorProvider, invite.ActorSystem:
		}
		return ""
	}
}

func technicalFacts(o opened) []story.Fact {
	facts := []story.Fact{
		{Name: "invite", Value: o.ID.String()}, {Name: "version", Value: strconv.Itoa(o.Version)}, {Name: "status", Value: string(o.Status)},
		{Name: "progress", Value: string(o.Progress)}, {Name: "link_type", Value: string(o.LinkType)},
		{Name: "pipedream_environment", Value: o.Environment}, {Name: "app", Value: o.AppSlug},
	}
	for _, f := range []story.Fact{
		{Name: "oauth_app_id", Value: o.OAuthAppID}, {Name: "delivery", Value: o.DeliveryID.String()}, {Name: "account", Value: o.AccountID},
	} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

// maxOthers is how many other invites of a person stand beside one.
const maxOthers = 5

// others are this person's other invites.
func (s *console) others(p *page, o opened) ([]inviteRow, error) {
	list, _, err := s.listPerson(p, o, maxOthers+1)
	if err != nil {
		return nil, err
	}
	var out []inviteRow
	for _, inv := range list {
		if inv.ID == o.ID || len(out) == maxOthers {
			continue
		}
		r, err := p.row(inv)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// auditOf is what staff did to this invite.
func (s *console) auditOf(p *page, id invite.ID) ([]auditLine, error) {
	entries, _, err := account.ListAudit(p.ctx(), s.DB, account.AuditFilter{
		Place: p.by.Place, InviteID: id, Limit: 20,
	})
	if err != nil {
		return nil, err
	}
	var out []auditLine
	for _, e := range entries {
		l := auditLine{Tick: view.Tick{At: e.At}, Who: p.t("A colleague"), What: p.didWhat(e.Act), Why: p.why(e.Why)}
		if e.Actor == p.by.Actor() {
			l.Who = p.t("You")
		}
		out = append(out, l)
	}
	parts, err := bulk.ListOfInvite(p.ctx(), s.DB, id, 20)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		l := auditLine{Tick: view.Tick{At: part.At}, Who: p.t("A colleague"), What: p.didWhat(issue.RequiredAct(part.Kind)), Bulk: part.ID.String()}
		if part.StaffID == p.signed.Staff.ID {
			l.Who = p.t("You")
		}
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(a, b auditLine) int { return b.At.Compare(a.At) })
	return out, nil
}

func (p *page) didWhat(a access.Act) string {
	switch a {
	case access.ActUnmask:
		return p.t("unmasked the address")
	case access.ActCreate:
		return p.t("created the invite")
	case access.ActResend:
		return p.t("resent it")
	case access.ActCorrect:
		return p.t("corrected the address")
	case access.ActExtend:
		return p.t("extended it")
	case access.ActRevoke:
		return p.t("revoked it")
	case access.ActCopyLink:
		return p.t("copied the link")
	case access.ActTake:
		return p.t("became its owner")
	case access.ActTakeOver:
		return p.t("took it over")
	case access.ActLetGo:
		return p.t("removed the assignment")
	case access.ActNote:
		return p.t("wrote a note")
	case access.ActDeleteNote:
		return p.t("deleted a note")
	case access.ActErase:
		return p.t("erased the person's data")
	}
	return string(a)
}

// follow streams the parts of the page that change, whenever the invite moves. It
// ends with the session, and with the role it was asked for in: who may still
// see the invite in another one comes back and gets what that one sees.
func (s *console) follow(p *page, id invite.ID) error {
	ticket, ok := s.Watch.Join(id)
	if !ok {
		return invite.Errorf(invite.CodeUnavailable, "Too many pages follow this invite now.")
	}
	defer ticket.Leave()
	return s.Streams.Serve(p, p.by.ID, func(ctx context.Context, last string) (web.Event, error) {
		// The request's own deadline is meant for one answer.
		p.SetRequest(p.Request().WithContext(ctx))
		version, stamp, _ := strings.Cut(last, "-")
		seen, _ := strconv.Atoi(version)
		for {
			inv, err := p.invite()
			if errors.Is(err, errMissing) {
				return web.Event{}, io.EOF
			}
			var beside attendance
			if err == nil {
				beside, err = s.attendance(p, inv)
			}
			var e web.Event
			moved := err == nil && (inv.Version != seen || beside.stamp() != stamp)
			if moved {
				e, err = s.moved(p, inv, beside)
			}
			if err == nil {
				// Asked last: what happened after a right was taken away is not told.
				var may bool
				if may, err = p.still(ctx); err == nil && !may {
					return web.Event{}, io.EOF
				}
			}
			switch {
			case err != nil && ctx.Err() != nil:
				return web.Event{}, web.ErrQuiet // a sign of life is due first
			case err != nil || moved:
				return e, err
			}
			if !ticket.Wait(ctx, seen) {
				return web.Event{}, web.ErrQuiet
			}
			if s.Watch.Closed() {
				return web.Event{}, io.EOF
			}
		}
	})
}

// moved is the event with the parts of a page that change.
func (s *console) moved(p *page, o opened, beside attendance) (web.Event, error) {
	p.frame.Now = s.Now().UTC()
	d, err := s.inviteData(p, o)
	if err != nil {
		return web.Event{}, err
	}
	d.attendance = beside
	var html bytes.Buffer
	if err := s.Pages.Part(&html, "invite", "stream", d); err != nil {
		return web.Event{}, err
	}
	return web.Event{ID: strconv.Itoa(o.Version) + "-" + beside.stamp(), Name: "moved", Data: html.Bytes()}, nil
}

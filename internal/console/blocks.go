package console

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/suppress"
)

// blocksPage lists addresses that are not to be written to.
type blocksPage struct {
	*view.Base
	Rows         []blockRow
	Kinds        []view.Choice
	Withins      []view.Choice
	Channels     []view.Choice
	Filtered     bool
	Clear, Older string
	Find         string // the address to look for
	Found        bool   // the rows are those of that address
	Form         blockForm
	Import       importForm
	Faults       []Fault
	CanAdd       bool
	CanImport    bool
}

type blockForm struct{ Address, Reason string }

type blockRow struct {
	ID, To, Kind, Note string
	Channel            string
	Since              time.Time
	InviteURL          string
	CanLift, CanUnmask bool
	Fixed              bool // only the person can undo it
	Home               string
}

// Wrong is the fault of a field; the template asks for it.
func (d blocksPage) Wrong(field string) string { return faultOf(d.Faults, field) }

func (s *console) blocks(p *page) error {
	d, err := s.blocksData(p)
	if err != nil {
		return err
	}
	return p.show("blocks", d)
}

func (s *console) blocksData(p *page) (blocksPage, error) {
	q := suppress.Query{
		Channel: invite.Channel(oneOf(p.QueryParam("channel"), invite.Channels()...)),
		Kind:    invite.Block(oneOf(p.QueryParam("kind"), invite.Blocks()...)), Limit: perPage,
	}
	window := oneOf[string](p.QueryParam("within"), pastDay, pastWeek)
	if window != "" {
		q.Since = p.frame.Now.Add(-windowDuration(window))
	}
	q.After, _ = invite.Parse[invite.SuppressionID](p.QueryParam("after"))
	list, next, err := s.Blocks.List(p.ctx(), p.by, q)
	if err != nil {
		return blocksPage{}, err
	}
	b := p.base(p.t("Suppressions"), "blocks")
	d := blocksPage{Base: b, Import: importForm{Max: suppress.MaxImport}, CanAdd: p.by.May(access.ActBlock), CanImport: p.by.May(access.ActBlockMany), Clear: b.URL("blocks"), Filtered: q.Channel != "" || q.Kind != "" || window != "", Withins: p.withins(window)}
	for _, one := range list {
		d.Rows = append(d.Rows, p.blockRow(one))
	}
	if !next.IsZero() {
		d.Older = withQuery(b.URL("blocks"), "channel", string(q.Channel), "kind", string(q.Kind), "within", window, "after", next.String())
	}
	d.Kinds = []view.Choice{{Value: "", Text: p.t("Any type"), Chosen: q.Kind == ""}}
	for _, k := range invite.Blocks() {
		d.Kinds = append(d.Kinds, view.Choice{Value: string(k), Text: p.blockKind(k), Chosen: k == q.Kind})
	}
	d.Channels = []view.Choice{{Value: "", Text: p.t("Any channel"), Chosen: q.Channel == ""}}
	for _, c := range invite.Channels() {
		d.Channels = append(d.Channels, view.Choice{Value: string(c), Text: p.channel(c), Chosen: c == q.Channel})
	}
	return d, nil
}

func (p *page) blockRow(b suppress.Suppression) blockRow {
	r := blockRow{
		ID: b.ID.String(), Kind: p.blockKind(b.Kind), Note: story.MaskText(b.Note.Reveal()), Channel: p.channel(b.Channel), Since: b.CreatedAt,
		To: maskAddress(b.Channel.Spec().Field, b.Recipient.Reveal(), p.by.May(access.ActUnmask)), Fixed: !b.Kind.Liftable(), Home: p.frame.URL("blocks", b.ID.String()),
		CanLift: b.Kind.Liftable() && p.by.May(access.ActLiftBlock), CanUnmask: p.by.May(access.ActUnmask) && !b.Recipient.IsZero(),
	}
	if b.Recipient.IsZero() {
		r.To = p.t("Erased")
	}
	if !b.InviteID.IsZero() {
		r.InviteURL = p.frame.URL("invites", b.InviteID.String())
	}
	return r
}

func (p *page) blockKind(k invite.Block) string {
	switch k {
	case invite.HardBounce:
		return p.t("No such mailbox")
	case invite.SpamReport:
		return p.t("Marked us as spam")
	case invite.OptOut:
		return p.t("Replied STOP")
	case invite.UnsubscribedBlock:
		return p.t("Unsubscribed from our emails")
	case invite.BadNumber:
		return p.t("Number cannot receive texts")
	case invite.NotMe:
		return p.t("Reported as not for them")
	case invite.ByHand:
		return p.t("Blocked manually")
	}
	return string(k)
}

// blocksOf are the blocks of one address. ok is false for a text that is no address.
func (s *console) blocksOf(p *page, address string) (out []blockRow, ok bool, err error) {
	list, _, err := s.Blocks.List(p.ctx(), p.by, suppress.Query{Recipient: address, Limit: perPage})
	var e *invite.Error
	if errors.As(err, &e) && e.Code == invite.CodeInvalidRequest {
		return nil, false, nil
	}
	for _, b := range list {
		out = append(out, p.blockRow(b))
	}
	return out, true, err
}

// accountName is what the connected account is called at its app.
func (p *page) accountName(inv find.Invite) (string, error) {
	if inv.AccountName == nil {
		return "", nil
	}
	name, err := p.Box.Open(inv.AccountName, seal.AD{Column: "invites.account_name", ID: inv.ID.UUID()})
	if err != nil {
		return "", fmt.Errorf("open account name of invite %s: %w", inv.ID, err)
	}
	return story.MaskText(string(name)), nil
}

// addBlock blocks an address by hand.
func (s *console) addBlock(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	f := blockForm{strings.TrimSpace(form.Get("address")), form.Get("reason")}
	add := suppress.Add{Reason: f.Reason, Email: f.Address}
	if !strings.Contains(f.Address, "@") {
		add.Email, add.Phone = "", p.searchAddress(f.Address)
	}
	_, fresh, err := s.Blocks.Add(p.ctx(), p.by, add)
	if err != nil {
		var e *invite.Error
		if !errors.As(err, &e) || len(e.Faults) == 0 {
			return err
		}
		d, dataErr := s.blocksData(p)
		if dataErr != nil {
			return dataErr
		}
		d.Form = f
		for _, one := range e.Faults {
			field, text := "address", p.t("This is not a valid email address or phone number.")
			if one.Pointer == "/reason" {
				field, text = "reason", p.t("Enter a reason for colleagues who look at this suppression later.")
			}
			d.Faults = append(d.Faults, Fault{field, text})
		}
		return p.wrong("blocks", d)
	}
	if !fresh {
		return p.done(p.frame.URL("blocks"), "note", p.t("This address is already blocked."))
	}
	return p.done(p.frame.URL("blocks"), "good", p.t("Blocked. Nothing is sent to this address any more."))
}

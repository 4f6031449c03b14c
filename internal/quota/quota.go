package quota

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Params are what a Counter needs.
type Params struct {
	Box     *seal.Box
	Project func(id string) (config.Project, bool)
	// Senders are the senders of a project's text messages, the first choice first.
	Senders func(place invite.Place) []string
}

// Counter names what messages count for.
type Counter struct{ p Params }

// New returns a Counter. A missing collaborator is an error.
func New(p Params) (*Counter, error) {
	err := required.Check("quota.Params", map[string]any{"Box": p.Box, "Project": p.Project, "Senders": p.Senders})
	if err != nil {
		return nil, err
	}
	return &Counter{p}, nil
}

// Message is a message as limits see it.
type Message struct {
	invite.Place

	Channel invite.Channel
	Address string    // of the recipient, by the channel
	User    seal.Hash // of the external user; nil: not counted for the user
	By      string    // the API key or member of staff; empty: the service itself
	// OnPage marks a message that the recipient asked for on the page and waits for:
	// it counts for the project's costs, not for the recipient's messages.
	OnPage bool
}

// SMSParts is how many parts a text message is assumed to have: messages in
// alphabets beyond GSM's, and those with Pipedream's own link, take two.
const SMSParts = 2

// Uses returns what a message counts for; none in test mode, without a message,
// and for a project that is not configured, of which nothing is sent.
func (c *Counter) Uses(m Message) []ledger.Use {
	project, ok := c.p.Project(m.Project)
	if !m.Live || !ok || m.Channel == invite.LinkOnly || m.Address == "" {
		return nil
	}
	l := project.Limits
	cost := l.EmailPrice
	var uses []ledger.Use
	if m.Channel.Spec().Field == invite.FieldPhone {
		country := contact.PhoneRegion(m.Address)
		cost = SMSParts * l.SMSPrice(country)
		uses = append(uses,
			ledger.Use{Scope: ledger.UseCountry, Subject: join(m.Project, country), PerDay: l.CountryPerDay},
			ledger.Use{Scope: ledger.UseBlock, Subject: join(m.Project, numberBlock(m.Address)), PerDay: l.BlockPerDay})
	}
	uses = append(uses, ledger.Use{
		Scope: ledger.UseProject, Subject: []byte(m.Project), PerDay: l.ProjectPerDay, Cost: int64(cost), MaxCost: int64(l.SpendPerDay),
	})
	if m.By != "" {
		uses = append(uses, ledger.Use{Scope: ledger.UseKey, Subject: join(m.Project, m.By), PerDay: l.KeyPerDay})
	}
	if m.OnPage {
		return uses
	}
	if m.User != nil {
		uses = append(uses, ledger.Use{Scope: ledger.UseUser, Subject: m.User, PerDay: l.UserPerDay})
	}
	return append(uses, ledger.Use{
		Scope: ledger.UseRecipient, Subject: c.Recipient(m.Place, m.Channel, m.Address), PerHour: l.RecipientPerHour, PerDay: l.RecipientPerDay,
	})
}

// recipientHash is the kind of hash by which recipients are counted.
const recipientHash = "limit.recipient"

// Recipient is the subject under which messages to an address are counted: over
// all projects that write from the same sender.
func (c *Counter) Recipient(place invite.Place, ch invite.Channel, address string) seal.Hash {
	return c.p.Box.Hash(recipientHash, c.sender(place, ch), onePerson(ch, address))
}

// Recipients are the subjects of an address towards one sender, one per live key, the
// primary key's first.
func Recipients(box *seal.Box, sender string, ch invite.Channel, address string) []seal.Hash {
	return box.Hashes(recipientHash, sender, onePerson(ch, address))
}

// SendersOf lists all that messages of a project may come from, as far as the
// configuration tells.
func SendersOf(p config.Project) []string {
	var out []string
	for _, s := range []string{p.Twilio.MessagingServiceSID, p.Twilio.From, p.Vonage.From, strings.ToLower(p.SendGrid.From), p.ID} {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// sender is what people see a project's messages come from.
func (c *Counter) sender(place invite.Place, ch invite.Channel) string {
	if ch.Spec().Field == invite.FieldPhone {
		if senders := c.p.Senders(place); len(senders) > 0 {
			return senders[0]
		}
		return place.Project
	}
	if project, ok := c.p.Project(place.Project); ok && project.SendGrid.From != "" {
		return strings.ToLower(project.SendGrid.From)
	}
	return place.Project
}

// onePerson folds the addresses that lead to one mailbox: mail's without case, and
// without what follows a + in the local part.
func onePerson(ch invite.Channel, address string) string {
	if ch.Spec().Field != invite.FieldEmail {
		return address
	}
	local, domain := contact.EmailParts(address)
	if base, _, tagged := strings.Cut(local, "+"); tagged && base != "" {
		local = base
	}
	return local + "@" + domain
}

// blockDigits is how many digits of a number vary within its block.
const blockDigits = 4

// numberBlock is a number without its last digits.
func numberBlock(e164 string) string { return e164[:max(0, len(e164)-blockDigits)] }

// Key is the subject under which the messages of a key or a member of staff are
// counted.
func Key(project, by string) []byte { return join(project, by) }

func join(project, name string) []byte { return []byte(project + "/" + name) }

// Name is the public name of the limit that was reached.
func Name(scope ledger.UseScope, measure ledger.Measure) string {
	switch {
	case measure == ledger.MeasureCost:
		return "spend_per_day"
	case measure == ledger.MeasureHour:
		return string(scope) + "_per_hour"
	default:
		return string(scope) + "_per_day"
	}
}

// Translate returns the public error of a *ledger.LimitError in err's chain; any
// other error is returned unchanged.
func Translate(err error) error {
	var over *ledger.LimitError
	if !errors.As(err, &over) {
		return err
	}
	e := invite.Errorf(invite.CodeLimitExceeded, "%s", words(over))
	e.Limit = &invite.Limit{Name: Name(over.Use.Scope, over.Measure), Scope: string(over.Use.Scope), Max: maximum(over), Remaining: over.Room()}
	e.RetryAfterS = int(over.FreeIn.Seconds())
	e.Err = err
	return e
}

// maximum is the value of the limit that was reached.
func maximum(over *ledger.LimitError) string {
	switch over.Measure {
	case ledger.MeasureCost:
		return config.Money(over.Use.MaxCost).String()
	case ledger.MeasureHour:
		return strconv.Itoa(over.Use.PerHour)
	case ledger.MeasureDay:
	}
	return strconv.Itoa(over.Use.PerDay)
}

func words(over *ledger.LimitError) string {
	most := maximum(over)
	switch over.Use.Scope {
	case ledger.UseRecipient:
		if over.Measure == ledger.MeasureHour {
			return "This recipient was sent " + most + " messages in the last hour, the maximum. Wait, or have a lead allow more for this recipient in the console."
		}
		return "This recipient was sent " + most + " messages in the last 24 hours, the maximum. Wait, or have a lead allow more for this recipient in the console."
	case ledger.UseUser:
		return "For this external_user_id " + most + " messages were sent in the last 24 hours, the maximum (limits.user_per_day)."
	case ledger.UseKey:
		return "This key sent " + most + " messages today, the maximum (limits.key_per_day). It is free again at midnight UTC."
	case ledger.UseCountry:
		return "The project sent " + most + " text messages to this country today, the maximum (limits.sms_country_per_day). It is free again at midnight UTC."
	case ledger.UseBlock:
		return "The project sent " + most + " text messages to neighbouring numbers today, the maximum (limits.sms_block_per_day). It is free again at midnight UTC."
	case ledger.UseProject:
	}
	if over.Measure == ledger.MeasureCost {
		return "Messages of the project cost " + most + " today, the maximum (limits.spend_per_day). It is free again at midnight UTC."
	}
	return "The project sent " + most + " messages today, the maximum (limits.project_per_day). It is free again at midnight UTC."
}

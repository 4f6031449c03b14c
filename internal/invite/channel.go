package invite

import "time"

// Channel is how the link reaches the recipient.
type Channel string

const (
	Email    Channel = "email"
	SMS      Channel = "sms"
	LinkOnly Channel = "link" // the caller opens or shows the URL; nothing is sent
)

// Field is the field of a recipient that holds the addresses of a channel. Two
// channels may share one.
type Field string

const (
	FieldEmail Field = "email"
	FieldPhone Field = "phone"
)

// Fields lists every Field.
func Fields() []Field { return []Field{FieldEmail, FieldPhone} }

// Of returns a recipient's address in the field; empty when there is none.
func (f Field) Of(r Recipient) string {
	switch f {
	case FieldEmail:
		return r.Email
	case FieldPhone:
		return r.Phone
	}
	return ""
}

// Pointer is the place of the field in a request.
func (f Field) Pointer() string { return "/recipient/" + string(f) }

// Form is how the messages of a channel are rendered.
type Form string

const (
	FormMail Form = "mail" // subject, text and HTML
	FormText Form = "text" // one plain text, counted in segments
)

// Spec is what a channel of messages is: all that code asks about one. The zero
// Spec is of a channel by which nothing is sent.
type Spec struct {
	Channel Channel
	Field   Field
	Form    Form
	// NeedsConsent: a project may demand evidence that the recipient agreed.
	NeedsConsent bool
	// OptOutByReply: people opt out by a reply to the sender, and the opt-out counts for
	// everything that comes from it. Where nothing can be replied to, the page
	// takes opt-outs, and takes them back.
	OptOutByReply bool
	// HasProviderList: providers keep suppression lists of their own, from which an
	// address is removed when its suppression here is lifted.
	HasProviderList bool
	// ReportWithin is how long after a message a delivery report may be missing before
	// the delivery gets the reason no_receipt. Carriers confirm a text within seconds or
	// never. Mail may be greylisted, but that is reported, and after an hour most of a
	// link's four are left for a person to do something.
	ReportWithin time.Duration
}

// Specs is the table of the channels by which messages are sent, in the order in
// which forms and documents list them. The first is the one that forms propose.
func Specs() []Spec {
	return []Spec{
		{Channel: Email, Field: FieldEmail, Form: FormMail, HasProviderList: true, ReportWithin: time.Hour},
		{Channel: SMS, Field: FieldPhone, Form: FormText, NeedsConsent: true, OptOutByReply: true, ReportWithin: 30 * time.Minute},
	}
}

// Spec returns the specification of a channel.
func (c Channel) Spec() Spec {
	for _, s := range Specs() {
		if s.Channel == c {
			return s
		}
	}
	return Spec{}
}

// Sends reports whether messages are sent by the channel.
func (c Channel) Sends() bool { return c.Spec().Channel != "" }

// Channels lists the channels by which messages are sent.
func Channels() []Channel {
	specs := Specs()
	out := make([]Channel, len(specs))
	for i, s := range specs {
		out[i] = s.Channel
	}
	return out
}

// AllChannels lists the channels of messages and LinkOnly.
func AllChannels() []Channel { return append(Channels(), LinkOnly) }

// ChannelNames writes channels as requests do.
func ChannelNames(channels []Channel) []string {
	out := make([]string, len(channels))
	for i, c := range channels {
		out[i] = string(c)
	}
	return out
}

// Channel returns the first channel whose addresses are in the field: a suppression that
// names an address without a channel is of that one.
func (f Field) Channel() Channel {
	for _, s := range Specs() {
		if s.Field == f {
			return s.Channel
		}
	}
	return ""
}

// Other returns the channel that a message by this one falls back to. With a third
// channel the invite's row has to keep the one that was asked for.
func (c Channel) Other() Channel {
	for _, s := range Specs() {
		if s.Channel != c {
			return s.Channel
		}
	}
	return ""
}

// Address returns the recipient's address for a channel; empty when there is none.
func (r Recipient) Address(c Channel) string { return c.Spec().Field.Of(r) }

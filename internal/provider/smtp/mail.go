package smtp

import (
	"bytes"
	"errors"
	netmail "net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/message"
)

// codeUnsendable marks a message that was refused here, before any server
// saw it.
const codeUnsendable = "unsendable"

var errNoEmail = errors.New("not an email with a recipient, a sender, a subject and both parts")

// mail is a message as it goes over the wire.
type mail struct {
	from, to string
	id       string // its Message-ID
	utf8     bool   // an address is not ASCII
	raw      []byte
}

// compose writes the mail out. go-mail's errors quote addresses, so they end here.
func (s *Sender) compose(m message.Outgoing) (mail, error) {
	e := m.Email
	if e == nil {
		return mail{}, errNoEmail
	}
	from, replyTo := e.From, e.ReplyTo
	if from.Email.IsZero() {
		from = s.p.From
	}
	if replyTo.IsZero() {
		replyTo = s.p.ReplyTo
	}
	if from.Email.IsZero() || e.To.Email.IsZero() || e.Subject == "" || e.Text.IsZero() || e.HTML.IsZero() {
		return mail{}, errNoEmail
	}
	out := mail{from: from.Email.Reveal(), to: e.To.Email.Reveal()}
	out.utf8 = !isASCII(out.from) || !isASCII(out.to)
	_, domain := contact.EmailParts(out.from)
	// Made of the attempt's id: a reader of the server's log finds the attempt.
	out.id = "<" + m.AttemptID + "@" + domain + ">"

	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP))
	faults := []error{
		msg.From(quoteMailbox(from.Name, out.from)),
		msg.To(quoteMailbox(e.To.Name, out.to)),
	}
	if !replyTo.IsZero() {
		faults = append(faults, msg.ReplyTo(replyTo.Reveal()))
	}
	if errors.Join(faults...) != nil || !isOneAddress(out.from) || !isOneAddress(out.to) {
		return mail{}, errNoEmail
	}
	msg.SetGenHeaderPreformatted(gomail.HeaderSubject, encodeSubject(e.Subject))
	msg.SetDateWithValue(s.p.Now())
	msg.SetMessageIDWithValue(strings.Trim(out.id, "<>"))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office replies
	// Mail clients fold messages with equal subjects into one thread and hide
	// the repeated part, which is the link; a distinct reference prevents it.
	msg.SetGenHeader("X-Entity-Ref-ID", m.AttemptID)
	if !e.Unsubscribe.IsZero() {
		msg.SetGenHeader("List-Unsubscribe", "<"+e.Unsubscribe.Reveal()+">")
		msg.SetGenHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	msg.SetBodyString(gomail.TypeTextPlain, e.Text.Reveal())
	msg.AddAlternativeString(gomail.TypeTextHTML, e.HTML.Reveal())
	var raw bytes.Buffer
	if _, err := msg.WriteTo(&raw); err != nil {
		return mail{}, errNoEmail
	}
	out.raw = startOnFirstLine(raw.Bytes())
	return out, nil
}

// quoteMailbox quotes a name as it is; go-mail's own way drops what it would have to
// escape.
func quoteMailbox(name, address string) string {
	return (&netmail.Address{Name: name, Address: address}).String()
}

// isOneAddress reports whether a text is exactly one address.
func isOneAddress(address string) bool {
	a, err := netmail.ParseAddress(address)
	return err == nil && a.Address == address
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

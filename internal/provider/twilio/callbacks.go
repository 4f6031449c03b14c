package twilio

import (
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
)

// Callbacks reads what Twilio posts for one project and mode.
type Callbacks struct{ verifier *Verifier }

// NewCallbacks makes Callbacks.
func NewCallbacks(v *Verifier) *Callbacks { return &Callbacks{verifier: v} }

// Verify checks the signature, which covers the URL and the body.
func (c *Callbacks) Verify(p provider.Post) error {
	return c.verifier.Verify(p.RequestURI, p.Header.Get("Content-Type"), p.Raw, p.Header.Get(SignatureHeader))
}

// Reports reads a status callback. Our own ids are in its path.
func (c *Callbacks) Reports(p provider.Post) ([]provider.Report, error) {
	r, err := c.Reread(p.Raw)
	if err != nil {
		return nil, err
	}
	r.InviteID, r.AttemptID = p.InviteID, p.AttemptID
	return []provider.Report{r}, nil
}

// Reread reads the body of a status callback.
func (c *Callbacks) Reread(raw []byte) (provider.Report, error) {
	form, err := ParseBody(raw)
	if err != nil {
		return provider.Report{}, provider.ErrUnreadable
	}
	s, err := ParseStatus(form)
	if err != nil {
		return provider.Report{}, provider.ErrUnreadable
	}
	r := provider.Report{
		Key: s.Key(), MessageIDs: []string{s.MessageSID}, MessageID: s.MessageSID, Address: s.To,
		Channel: invite.SMS, Code: s.ErrorCode, Raw: raw,
	}
	r.Status, r.Reason = s.Fate()
	return r, nil
}

// Replies reads the webhook of an inbound message.
func (c *Callbacks) Replies(p provider.Post) ([]provider.Reply, error) {
	form, err := ParseBody(p.Raw)
	if err != nil {
		return nil, provider.ErrUnreadable
	}
	in, err := ParseInbound(form)
	if err != nil {
		return nil, provider.ErrUnreadable
	}
	r := provider.Reply{Key: in.MessageSID, Channel: invite.SMS, From: in.From, Keyword: in.Keyword, LikeStop: in.LikeStop, Body: in.Body, Raw: p.Raw}
	if in.Service != "" {
		r.To = append(r.To, in.Service)
	}
	r.To = append(r.To, in.To)
	return []provider.Reply{r}, nil
}

// noReply tells Twilio to answer nothing: it has answered STOP, START and HELP
// itself, and a second answer would cost us and confuse the person.
const noReply = `<?xml version="1.0" encoding="UTF-8"?><Response/>`

// ReplyAnswer is an empty document of Twilio's.
func (c *Callbacks) ReplyAnswer() provider.Answer {
	return provider.Answer{ContentType: "text/xml", Body: noReply}
}

package sandbox

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// mailSend is the part of a mail/send body the stand-in reads. Members it does
// not know are let through, as SendGrid does.
type mailSend struct {
	Personalizations []struct {
		To, CC, BCC []mailbox
		Subject     string
		Headers     map[string]string
		CustomArgs  map[string]json.RawMessage `json:"custom_args"`
		SendAt      int64                      `json:"send_at"`
	} `json:"personalizations"`
	From    *mailbox
	ReplyTo *mailbox `json:"reply_to"`
	Subject string
	Content []struct{ Type, Value string }
	Headers map[string]string
	// TemplateID makes subject and content optional.
	TemplateID   string                     `json:"template_id"`
	Categories   []string                   `json:"categories"`
	CustomArgs   map[string]json.RawMessage `json:"custom_args"`
	SendAt       int64                      `json:"send_at"`
	MailSettings struct {
		SandboxMode struct{ Enable bool } `json:"sandbox_mode"`
	} `json:"mail_settings"`
	TrackingSettings json.RawMessage `json:"tracking_settings"`
}

type mailbox struct{ Email, Name string }

// reservedHeaders may not be set by a customer.
const reservedHeaders = " x-sg-id x-sg-eid received dkim-signature content-type content-transfer-encoding to from subject reply-to cc bcc "

// faults are all of SendGrid's complaints at once.
func (m *mailSend) faults(now time.Time) []sendgridFault {
	var out []sendgridFault
	bad := func(field, format string, args ...any) {
		out = append(out, mailFault(field, fmt.Sprintf(format, args...)))
	}
	if m.From == nil || m.From.Email == "" {
		bad("from.email", "The from object must be provided for every email send. It is an object that requires the email parameter, but may also contain a name parameter.")
	} else if !plausible(m.From.Email) {
		bad("from.email", "Does not contain a valid address.")
	}
	if m.ReplyTo != nil && !plausible(m.ReplyTo.Email) {
		bad("reply_to.email", "Does not contain a valid address.")
	}
	if n := len(m.Personalizations); n == 0 || n > 1000 {
		bad("personalizations", "The personalizations field is required and must have at least one personalization.")
	}
	m.personalizationFaults(now, bad)
	if m.TemplateID == "" {
		if len(m.Content) == 0 {
			bad("content", "Unless a valid template_id is provided, the content parameter is required. There must be at least one defined content block.")
		}
		for i, c := range m.Content {
			if c.Value == "" {
				bad(fmt.Sprintf("content.%d.value", i), "The content value must be a string at least one character in length.")
			}
			if c.Type == "" || strings.ContainsAny(c.Type, ";\r\n") {
				bad(fmt.Sprintf("content.%d.type", i), "The content type is required and may not contain ';' or CRLF.")
			}
			if i > 0 && c.Type == "text/plain" {
				bad("content", "If present, text/plain must be first, followed by text/html, followed by any other content.")
			}
		}
	}
	for i, c := range m.Categories {
		if i >= 10 || len(c) > 255 {
			bad("categories", "There may be at most 10 categories of at most 255 characters.")
			break
		}
	}
	headerFaults("headers", m.Headers, bad)
	return out
}

func (m *mailSend) personalizationFaults(now time.Time, bad func(field, format string, args ...any)) {
	seen := map[string]bool{}
	total := 0
	for i, p := range m.Personalizations {
		at := fmt.Sprintf("personalizations.%d", i)
		if len(p.To) == 0 {
			bad(at+".to", "The to array is required for all personalization objects, and must have at least one email object with a valid email address.")
		}
		for _, list := range [][]mailbox{p.To, p.CC, p.BCC} {
			for _, a := range list {
				total++
				if !plausible(a.Email) {
					bad(at+".to.0.email", "Does not contain a valid address.")
				} else if seen[fmt.Sprint(i, fold(a.Email))] {
					bad(at, "Each email address in the personalization block should be unique between to, cc, and bcc. We found the first duplicate instance of [%s].", a.Email)
				}
				seen[fmt.Sprint(i, fold(a.Email))] = true
			}
		}
		if p.Subject == "" && m.Subject == "" && m.TemplateID == "" {
			bad("subject", "The subject is required. You can get around this requirement if you use a template with a subject defined or if every personalization has a subject defined.")
		}
		size := 0
		for k, v := range p.CustomArgs {
			var text string
			if json.Unmarshal(v, &text) != nil {
				bad(at+".custom_args."+k, "The custom_args value must be a string.")
			}
			size += len(k) + len(text)
		}
		for k, v := range m.CustomArgs {
			size += len(k) + len(v)
		}
		if size >= 10_000 {
			bad(at+".custom_args", "The custom_args may not be more than 10000 bytes in total.")
		}
		for _, at64 := range []int64{p.SendAt, m.SendAt} {
			if at64 != 0 && time.Unix(at64, 0).Sub(now) > 72*time.Hour {
				bad("send_at", "Scheduling more than 72 hours in advance is forbidden.")
			}
		}
		headerFaults(at+".headers", p.Headers, bad)
	}
	if total > 1000 {
		bad("personalizations", "There may be at most 1000 recipients in a request.")
	}
}

func headerFaults(at string, headers map[string]string, bad func(field, format string, args ...any)) {
	for k := range headers {
		if strings.Contains(reservedHeaders, " "+strings.ToLower(k)+" ") {
			bad(at, "The %s header is reserved and may not be set.", k)
		}
	}
}

func plausible(address string) bool {
	a, err := mail.ParseAddress(address)
	return err == nil && a.Address == strings.TrimSpace(address)
}

// contents are the messages of a request, one per recipient.
func (m *mailSend) contents() []content {
	var out []content
	for _, p := range m.Personalizations {
		c := content{From: m.From.Email, FromName: m.From.Name, Subject: p.Subject, Category: m.Categories, Args: map[string]string{}}
		if c.Subject == "" {
			c.Subject = m.Subject
		}
		if m.ReplyTo != nil {
			c.ReplyTo = m.ReplyTo.Email
		}
		for _, part := range m.Content {
			if part.Type == "text/html" {
				c.HTML = part.Value
			} else if c.Text == "" {
				c.Text = part.Value
			}
		}
		for _, args := range []map[string]json.RawMessage{m.CustomArgs, p.CustomArgs} { // the latter wins
			for k, v := range args {
				var text string
				if json.Unmarshal(v, &text) != nil {
					text = string(v)
				}
				c.Args[k] = text
			}
		}
		for _, list := range [][]mailbox{p.To, p.CC, p.BCC} {
			for _, to := range list {
				one := c
				one.To, one.ToName = to.Email, to.Name
				out = append(out, one)
			}
		}
	}
	return out
}

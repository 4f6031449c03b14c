package sandbox

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// inboxRow is a message in the list.
type inboxRow struct {
	ID, Channel, To, Title, Status string
	Badge                          badge
	CreatedAt                      time.Time
}

// badge says a status in a word, a sign and a tone, never by colour alone.
type badge struct{ Word, Sign, Tone string }

func badgeOf(status string) badge {
	switch status {
	case "delivered":
		return badge{"Delivered", "✓", "good"}
	case "bounce":
		return badge{"Bounced", "✕", "bad"}
	case "dropped":
		return badge{"Dropped", "✕", "bad"}
	case "undelivered", "failed":
		return badge{"Not delivered", "✕", "bad"}
	case "spamreport":
		return badge{"Marked as spam", "!", "bad"}
	case "deferred":
		return badge{"Deferred", "…", "wait"}
	case "sent":
		return badge{"Sent", "→", "wait"}
	}
	return badge{"Accepted", "→", "wait"}
}

type inboxPage struct {
	Rows           []inboxRow
	To, Channel    string
	Older          string // the id before which the next page begins, "" at the end
	Live, Filtered bool
}

const inboxRows = 25

func (s *Sandbox) serveInbox(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page := inboxPage{To: strings.TrimSpace(q.Get("to")), Channel: q.Get("channel"), Live: q.Get("live") != ""}
	if page.Channel != email && page.Channel != sms {
		page.Channel = ""
	}
	page.Filtered = page.To != "" || page.Channel != "" || q.Get("before") != ""
	list, err := s.Messages(r.Context(), MessageFilter{To: page.To, Channel: page.Channel, Before: q.Get("before"), Limit: inboxRows + 1})
	switch {
	case errors.Is(err, ErrNoMessage):
		list = nil
	case err != nil:
		s.pageFailed(w, "inbox", err)
		return
	}
	if len(list) > inboxRows {
		list = list[:inboxRows]
		page.Older = list[inboxRows-1].ID
	}
	for _, m := range list {
		row := inboxRow{ID: m.ID, Channel: m.Channel, To: m.To, Title: m.Subject, Status: m.Status, Badge: badgeOf(m.Status), CreatedAt: m.CreatedAt}
		if m.Channel == sms {
			row.Title = m.Text
		}
		if m.deleted {
			row.To, row.Title = "deleted", "The product had this message deleted."
		}
		page.Rows = append(page.Rows, row)
	}
	if page.Live {
		w.Header().Set("Refresh", "5")
	}
	s.render(w, http.StatusOK, "inbox", page)
}

// messagePage is one message as its reader has it, and what the vendor knows.
type messagePage struct {
	Message
	Badge             badge
	View              string
	Views             []view
	Units, Segments   int
	Unicode, Deleted  bool
	FromName, ReplyTo string
	VendorID, Vendor  string
	History           []historyLine
}

type view struct{ Key, Label string }

// historyLine is an event in words.
type historyLine struct {
	When        time.Time
	Who, Title  string
	Detail      string
	Report      string // what became of the callback
	Person, Bad bool
}

func (s *Sandbox) serveInboxMessage(w http.ResponseWriter, r *http.Request) {
	m, err := s.Message(r.Context(), r.PathValue("id"))
	if errors.Is(err, ErrNoMessage) {
		s.noMessage(w)
		return
	}
	if err != nil {
		s.pageFailed(w, "message", err)
		return
	}
	events, err := s.history(r.Context(), m.id)
	if err != nil {
		s.pageFailed(w, "message", err)
		return
	}
	page := messagePage{
		Message: m, Badge: badgeOf(m.Status), FromName: m.content.FromName, ReplyTo: m.content.ReplyTo, Deleted: m.deleted,
		Vendor: "SendGrid", VendorID: mailID(m.id), Views: []view{{"mail", "Email"}, {"phone", "Phone"}, {"text", "Text"}, {"source", "HTML source"}},
	}
	if m.Channel == sms {
		page.Vendor, page.VendorID = "Twilio", smsSID(m.id)
		page.Units, page.Unicode = smsUnits(m.Text)
		page.Segments = segmentsOf(m.Text)
		page.Views = []view{{"phone", "Phone"}, {"text", "Text"}}
	} else if m.HTML == "" {
		page.Views = []view{{"text", "Text"}}
	}
	page.View = page.Views[0].Key
	for _, v := range page.Views {
		if v.Key == r.URL.Query().Get("view") {
			page.View = v.Key
		}
	}
	page.History = append(page.History, historyLine{When: m.CreatedAt, Who: page.Vendor, Title: "accepted", Detail: "Taken from the product. Accepted is not yet delivered."})
	for _, e := range events {
		page.History = append(page.History, lineOf(e, m.To))
	}
	s.render(w, http.StatusOK, "message", page)
}

func lineOf(e history, to string) historyLine {
	l := historyLine{When: e.HappenedAt, Who: "SendGrid", Title: e.Name, Detail: strings.ReplaceAll(e.Extra["reason"]+e.Extra["response"], "{email}", to)}
	switch e.Source {
	case twilio:
		l.Who = "Twilio"
		if code := e.Extra["ErrorCode"]; code != "" {
			l.Detail = "Error " + code
			if n, err := strconv.Atoi(code); err == nil {
				l.Detail += ": " + errorTexts(int32(n))
			}
		}
	case "person":
		l.Who, l.Person, l.Detail = "The reader", true, e.Extra["note"]
		return l
	}
	l.Bad = badgeOf(e.Name).Tone == "bad"
	switch {
	case e.Due && e.Tries == 0:
		l.Report = "report waits"
	case e.Due:
		l.Report = "report not answered yet, will be posted again"
	case e.Tries == 0:
		l.Report = "not reported"
	case e.Answer != nil && *e.Answer/100 == 2:
		l.Report = "reported to the product"
	default:
		l.Report = "the product never took the report"
	}
	return l
}

func (s *Sandbox) noMessage(w http.ResponseWriter) {
	s.render(w, http.StatusNotFound, "notice", notice{Title: "No such message", Text: "The sandbox has not taken a message under this address."})
}

// serveInboxHTML is the mail's own HTML, for the frame: no script, no network,
// no origin, for any mail.
func (s *Sandbox) serveInboxHTML(w http.ResponseWriter, r *http.Request) {
	m, err := s.Message(r.Context(), r.PathValue("id"))
	if errors.Is(err, ErrNoMessage) || err == nil && m.HTML == "" {
		s.noMessage(w)
		return
	}
	if err != nil {
		s.pageFailed(w, "message", err)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, inNewTab(m.HTML))
}

// inNewTab makes links leave the frame: pages refuse to be framed.
func inNewTab(html string) string {
	const base = `<base target="_blank">`
	lower := strings.ToLower(html)
	if i := strings.Index(lower, "<head>"); i >= 0 {
		i += len("<head>")
		return html[:i] + base + html[i:]
	}
	if i := strings.Index(lower, "<html"); i >= 0 {
		if j := strings.IndexByte(html[i:], '>'); j >= 0 {
			return html[:i+j+1] + "<head>" + base + "</head>" + html[i+j+1:]
		}
	}
	return base + html
}

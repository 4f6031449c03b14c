package console

import (
	"github.com/connectlink/connectlink/internal/console/picture"
	"github.com/connectlink/connectlink/internal/store/find"
)

// pipedream is how Pipedream does, by what became of requests for links: that it
// answers at all says nothing of that. It is not found before the first request.
func (s *console) pipedream(p *page) (h health, found bool, err error) {
	m, err := find.GetMinting(p.ctx(), s.DB, p.by.Place)
	if err != nil || m.Waiting == 0 && m.Failed == 0 && m.MintedAgo < 0 {
		return h, false, err
	}
	h.Name = "Pipedream"
	switch {
	case m.Failing():
		h.Text = p.t("Not issuing connect links right now.")
		if m.Refused {
			h.Text = p.t("Rejects our project or credentials, so no connect links can be created. Tell an operator.")
		}
		h.Badge = p.state(picture.Bad)
	case m.Waiting > 0 || m.Failed > 0:
		h.Text = p.t("Issuing connect links again; some requests still fail.")
		if m.MintedAgo < 0 || m.FailedAgo >= 0 && m.FailedAgo < m.MintedAgo {
			h.Text = p.t("The latest request for a connect link failed.")
		}
		h.Badge = p.state(picture.Warn)
	default:
		h.Text = p.t("Issuing connect links.")
		h.Badge = p.state(picture.Good)
	}
	add := func(text string) { h.Text += " " + text }
	if m.Waiting > 0 {
		add(p.frame.TN("%d message waits for a link and will be sent automatically.", "%d messages wait for a link and will be sent automatically.", m.Waiting))
	}
	if m.Failed > 0 {
		add(p.frame.TN("%d request failed in the last 15 minutes.", "%d requests failed in the last 15 minutes.", m.Failed))
	}
	if m.People > 0 {
		add(p.frame.TN("%d person was asked to try again later.", "%d people were asked to try again later.", m.People))
	}
	if m.MintedAgo >= 0 {
		add(p.t("Last link: %s.", p.frame.Relative(p.frame.Now.Add(-m.MintedAgo))))
	}
	return h, true, nil
}

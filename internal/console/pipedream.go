package console

import (
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/store/find"
)

// pipedream is how Pipedream does, by what became of requests for links: that it
// answers at all says nothing of that. It is not found before the first request.
func (s *console) pipedream(p *page) (h health, found bool, err error) {
	m, err := find.GetMinting(p.ctx(), s.DB, p.by.ProjectID, p.by.Livemode)
	if err != nil || m.Waiting == 0 && m.Failed == 0 && m.MintedAgo < 0 {
		return h, false, err
	}
	h.Name = "Pipedream"
	switch {
	case m.Failing():
		h.Text = p.t("It issues no connect links at the moment.")
		if m.Refused {
			h.Text = p.t("It refuses our project or credentials, so no connect links can be made: tell an operator.")
		}
		h.Badge = view.Badge{Kind: "bad", Icon: "alert", Text: p.t("In trouble")}
	case m.Waiting > 0 || m.Failed > 0:
		h.Text = p.t("It issues connect links again, but not every request went well.")
		if m.MintedAgo < 0 || m.FailedAgo >= 0 && m.FailedAgo < m.MintedAgo {
			h.Text = p.t("The latest request for a connect link failed.")
		}
		h.Badge = view.Badge{Kind: "warn", Icon: "alert", Text: p.t("Shaky")}
	default:
		h.Text = p.t("Issues connect links.")
		h.Badge = view.Badge{Kind: "good", Icon: "check", Text: p.t("Works")}
	}
	add := func(text string) { h.Text += " " + text }
	if m.Waiting > 0 {
		add(p.frame.TN("%d message waits for a link, and goes out by itself once there is one.", "%d messages wait for a link, and go out by themselves once there is one.", m.Waiting))
	}
	if m.Failed > 0 {
		add(p.frame.TN("%d request failed within 15 minutes.", "%d requests failed within 15 minutes.", m.Failed))
	}
	if m.People > 0 {
		add(p.frame.TN("%d person was asked to try again later.", "%d people were asked to try again later.", m.People))
	}
	if m.MintedAgo >= 0 {
		add(p.t("Last link: %s.", p.frame.Relative(p.frame.Now.Add(-m.MintedAgo))))
	}
	return h, true, nil
}

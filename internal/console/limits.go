package console

import (
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// limitNotice is a sending limit per day that came near or was reached today.
type limitNotice struct {
	Text  string
	Badge view.Badge
}

// maxLimitNotices bounds the notices on one page.
const maxLimitNotices = 5

// limitNotices are today's notices of the page's project, the latest first; of a limit
// that was reached, not also that it came near.
func (s *console) limitNotices(p *page) ([]limitNotice, error) {
	if !p.by.Live {
		return nil, nil // test mode is not limited
	}
	list, err := ledger.ListNotices(p.ctx(), s.DB, p.by.Project, 4*maxLimitNotices)
	if err != nil {
		return nil, err
	}
	reached := make(map[string]bool)
	var out []limitNotice
	for _, level := range []ledger.NoticeLevel{ledger.NoticeReached, ledger.NoticeNear} {
		for _, n := range list {
			a := quota.AlertOf(n)
			of := a.Limit + " " + string(n.Subject)
			if n.Level != level || reached[of] || len(out) == maxLimitNotices {
				continue
			}
			name := a.Limit
			if a.Subject != nil {
				name += " (" + *a.Subject + ")"
			}
			notice := limitNotice{p.t("%s: %s of %s used. Counting starts again at midnight UTC.", name, a.Used, a.Max), view.Badge{Kind: "warn", Icon: "alert", Text: p.t("Nearly reached")}}
			if level == ledger.NoticeReached {
				reached[of] = true
				notice = limitNotice{p.t("%s: all %s used. Further messages are refused until midnight UTC.", name, a.Max), view.Badge{Kind: "bad", Icon: "ban", Text: p.t("Reached")}}
			}
			out = append(out, notice)
		}
	}
	return out, nil
}

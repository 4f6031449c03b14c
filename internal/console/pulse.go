package console

import (
	"html/template"
	"maps"
	"slices"
	"time"

	"github.com/connectlink/connectlink/internal/console/picture"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/counts"
)

const (
	// paceWindow is compared with the same hours of the days before.
	paceWindow = 3 * time.Hour
	paceDays   = 7
	// leastTimes is how many messages the usual time is known from.
	leastTimes = 20
	// slower is how many times the usual time is slow, and slowFrom the least difference.
	slower   = 2
	slowFrom = 5 * time.Second
	// lateQueue is from when a due message says that sending is behind.
	lateQueue = time.Minute
	// queueHours is how far back the queue is drawn, in columns of queueColumn.
	queueHours  = 6
	queueColumn = 5 * time.Minute
	// maxDomains is how many domains are told apart.
	maxDomains = 8
)

// pulse is how delivery does: what operators look at first.
type pulse struct {
	AsOf    time.Time
	Badge   view.Badge
	Answer  string // to "is delivery slow?"
	Causes  []string
	Paces   []paceRow
	Queues  []queueRow
	Deliver []deliverRow
}

// paceRow compares a provider's times with the usual ones.
type paceRow struct {
	Name                                string
	Accept, UsualAccept, Deliver, Usual string
}

// queueRow is the queue of a channel over the last hours.
type queueRow struct {
	Channel, Text string
	Picture       template.HTML
	Hours         []binTime
}

type binTime struct {
	At  time.Time
	Age string
}

// deliverRow is what became of 24 hours' messages through a provider, or to a domain.
type deliverRow struct {
	Name                          string
	IsDomain                      bool
	Bar                           template.HTML
	Sent, Delivered, Open, Failed int
}

// pulse reads it. list are the messages of 24 hours, channels the queues now.
func (s *console) pulse(p *page, list []counts.Messages, channels []channelRow) (d pulse, err error) {
	if d.AsOf, err = counts.GetComplete(p.ctx(), s.DB, p.by.Place); err != nil {
		return d, err
	}
	now, before, err := counts.SumMessages(p.ctx(), s.DB, p.by.Place, p.frame.Now, paceWindow, paceDays)
	if err != nil {
		return d, err
	}
	samples, err := counts.ListSamples(p.ctx(), s.DB, p.by.Place, p.frame.Now.Add(-queueHours*time.Hour))
	if err != nil {
		return d, err
	}
	domains, err := counts.ListDomains(p.ctx(), s.DB, p.by.Place, p.frame.Now.Add(-day), maxDomains)
	if err != nil {
		return d, err
	}
	p.answer(&d, now, before, channels)
	d.Queues = p.queues(samples)
	d.Deliver = p.deliveries(list, domains)
	return d, nil
}

// took is a time in words.
func (p *page) took(d time.Duration) string {
	if d < time.Second {
		return p.t("less than 1 second")
	}
	return p.frame.Span(d)
}

// answer says whether delivery is slow, and why.
func (p *page) answer(d *pulse, now, before map[string]counts.Messages, channels []channelRow) {
	slow, sent := false, 0
	for _, name := range slices.Sorted(maps.Keys(now)) {
		m, usual := now[name], before[name]
		if name == counts.Pipedream {
			continue
		}
		sent += m.Accepted
		row := paceRow{Name: story.ProviderName(name), Accept: "–", UsualAccept: "–", Deliver: "–", Usual: "–"}
		bounds := counts.MessageBounds()
		compare := func(is, was []int, isText, wasText *string, words string) {
			t, ok := counts.Quantile(bounds, is, 0.5)
			if !ok {
				return
			}
			*isText = p.took(t)
			n := 0
			for _, c := range was {
				n += c
			}
			u, ok := counts.Quantile(bounds, was, 0.5)
			if !ok || n < leastTimes {
				return
			}
			*wasText = p.took(u)
			if t >= slower*u && t >= u+slowFrom {
				slow = true
				d.Causes = append(d.Causes, p.t(words, row.Name, p.took(t), p.took(u)))
			}
		}
		compare(m.AcceptTimes, usual.AcceptTimes, &row.Accept, &row.UsualAccept, view.M("%s accepts messages after %s; usual at these hours: %s."))
		compare(m.DeliverTimes, usual.DeliverTimes, &row.Deliver, &row.Usual, view.M("%s delivers messages after %s; usual at these hours: %s."))
		d.Paces = append(d.Paces, row)
	}
	for _, c := range channels {
		switch {
		case c.Held:
			slow = true
			d.Causes = append(d.Causes, p.t("Staff paused it: %s.", c.Name))
		case !c.Oldest.IsZero() && p.frame.Now.Sub(c.Oldest) >= lateQueue:
			slow = true
			d.Causes = append(d.Causes, p.t("%s: the oldest message is due for %s.", c.Name, p.frame.Span(p.frame.Now.Sub(c.Oldest))))
		}
	}
	switch {
	case slow:
		d.Answer, d.Badge = p.t("Delivery is slower than usual."), view.Badge{Kind: "warn", Icon: "alert", Text: p.t("Slow")}
	case sent == 0:
		d.Answer, d.Badge = p.t("No message was sent in the last 3 hours, and none waits."), view.Badge{Kind: "calm", Icon: "clock", Text: p.t("No traffic")}
	default:
		d.Answer, d.Badge = p.t("Delivery is as fast as usual."), view.Badge{Kind: "good", Icon: "check", Text: p.t("Normal")}
	}
}

// queues draws how long the oldest message was due.
func (p *page) queues(samples []counts.Sample) (out []queueRow) {
	columns := int(queueHours * time.Hour / queueColumn)
	begin := p.frame.Now.Add(-queueHours * time.Hour)
	for _, ch := range invite.Channels() {
		values, hours := make([]int, columns), make([]int, queueHours)
		worst := time.Duration(0)
		for _, s := range samples {
			if s.Channel != ch || s.At.Before(begin) {
				continue
			}
			i := min(int(s.At.Sub(begin)/queueColumn), columns-1)
			values[i] = max(values[i], s.OldestS)
			hours[i*queueHours/columns] = max(hours[i*queueHours/columns], s.OldestS)
			worst = max(worst, s.Oldest())
		}
		r := queueRow{Channel: p.channel(ch), Text: p.t("No message waited in 6 hours.")}
		if worst > 0 {
			r.Text = p.t("The longest wait of 6 hours: %s. Normal: below 1 min.", p.took(worst))
		}
		kind := picture.Calm
		if worst >= lateQueue {
			kind = picture.Warn
		}
		r.Picture = picture.Columns("p-cols", r.Channel+": "+r.Text, values, kind, kind)
		for i, h := range hours {
			row := binTime{begin.Add(time.Duration(i) * time.Hour), "–"}
			if h > 0 {
				row.Age = p.took(time.Duration(h) * time.Second)
			}
			r.Hours = append(r.Hours, row)
		}
		out = append(out, r)
	}
	return out
}

// deliveries are the outcomes of 24 hours by provider, and of the most frequent domains.
func (p *page) deliveries(list, domains []counts.Messages) (out []deliverRow) {
	sums := map[string]counts.Messages{}
	for _, m := range list {
		if m.Provider != counts.Pipedream {
			sums[m.Provider] = sums[m.Provider].Add(m)
		}
	}
	total := func(m counts.Messages) int { return max(m.Accepted, m.Delivered+m.Failed) }
	row := func(name string, m counts.Messages) deliverRow {
		r := deliverRow{Name: name, Sent: total(m), Delivered: m.Delivered, Failed: m.Failed}
		r.Open = max(r.Sent-m.Delivered-m.Failed, 0)
		r.Bar = picture.Bar(p.t("%d delivered, %d without a report, %d did not arrive", r.Delivered, r.Open, r.Failed),
			[]picture.Part{{N: r.Delivered, Kind: picture.Good}, {N: r.Open, Kind: picture.Calm}, {N: r.Failed, Kind: picture.Bad}}, r.Sent)
		return r
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if total(sums[name]) > 0 {
			out = append(out, row(story.ProviderName(name), sums[name]))
		}
	}
	for _, m := range domains {
		r := row(m.Domain, m)
		r.IsDomain = true
		out = append(out, r)
	}
	return out
}

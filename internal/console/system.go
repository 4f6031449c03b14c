package console

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/console/picture"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/counts"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// Facts are what only the process knows of itself.
type Facts struct {
	Version   string
	Migration string // the newest that was applied
	Database  string // its version
	// Orphans are projects with waiting messages that are not configured any more.
	Orphans []queue.Orphan
	// Replica reports whether there is a replica for lists, ReplicaProblem why it is not
	// used; empty: it is.
	Replica        bool
	ReplicaProblem postgres.ReplicaProblem
}

// systemPage is how the service stands, for operators.
type systemPage struct {
	*view.Base
	Facts    Facts
	Channels []channelRow
	Accounts []health
	Pulse    pulse
	Alerts   []openAlert   // thresholds that are exceeded
	Hooks    []endpointRow // that miss events
	Limits   []limitNotice
	Ending   []limitNotice // API keys that end soon
	Reseal   *resealing    // nil: it was never run
	Jobs     []jobsRow
	Lists    *health // the replica for lists; nil: there is none
	Runbook  []string
	Whys     []view.Choice
}

// jobsRow is how many background jobs are in a state.
type jobsRow struct {
	Name, Text string
	Bad        bool
}

type channelRow struct {
	Channel, Name string
	Due           int
	More          bool
	Oldest        time.Time
	Held          bool
	HeldAt        time.Time
	HeldBy, Why   string
	Badge         view.Badge
}

// Runbook names the sections of docs/operations.md for operators. The file comes
// with the source and is not served, so the page cannot link to it.
func Runbook() []string {
	return []string{"When something is wrong", "Metrics", "Logs", "Backup", "Rotating secrets"}
}

func (s *console) system(p *page) error {
	d := systemPage{Base: p.base(p.t("System"), "system"), Runbook: Runbook()}
	var err error
	if s.System != nil {
		if d.Facts, err = s.System(p.ctx()); err != nil {
			return err
		}
	}
	d.Lists = p.replica(d.Facts)
	lanes, err := queue.ListLanesOf(p.ctx(), s.DB, p.by.Project)
	if err != nil {
		return err
	}
	names, err := s.names(p)
	if err != nil {
		return err
	}
	for _, ch := range invite.Channels() {
		r := channelRow{Channel: string(ch), Name: story.QueueName(p.frame, ch), Badge: view.Badge{Kind: "good", Icon: "check", Text: p.t("Running")}}
		for _, l := range lanes {
			if l.Lane != p.by.Lane(ch) {
				continue
			}
			r.Due, r.More = l.Due, l.Due >= 1000
			if l.Oldest != nil {
				r.Oldest = *l.Oldest
			}
			if l.HeldAt != nil {
				r.Held, r.HeldAt, r.HeldBy, r.Why = true, *l.HeldAt, names[l.HeldBy], p.t(whyName(l.HeldWhy))
				r.Badge = view.Badge{Kind: "warn", Icon: "pause", Text: p.t("Paused")}
			}
		}
		d.Channels = append(d.Channels, r)
	}
	o, list, err := s.outcomes(p)
	if err != nil {
		return err
	}
	if d.Accounts, err = s.accounts(p, o); err != nil {
		return err
	}
	if d.Pulse, err = s.pulse(p, list, d.Channels); err != nil {
		return err
	}
	if d.Alerts, err = s.alerts(p); err != nil {
		return err
	}
	if d.Hooks, err = s.webhookNotices(p); err != nil {
		return err
	}
	if d.Limits, err = s.limitNotices(p); err != nil {
		return err
	}
	if d.Ending, err = s.endingKeys(p); err != nil {
		return err
	}
	if d.Reseal, err = s.resealing(p); err != nil {
		return err
	}
	if d.Jobs, err = s.jobs(p); err != nil {
		return err
	}
	for _, w := range pause.Whys() {
		d.Whys = append(d.Whys, view.Choice{Value: string(w), Text: p.t(whyName(string(w)))})
	}
	return p.show("system", d)
}

// jobs are those of all projects: events out, polling, clean-up and the like.
func (s *console) jobs(p *page) ([]jobsRow, error) {
	list, err := queue.ListJobs(p.ctx(), s.DB)
	if err != nil {
		return nil, err
	}
	var out []jobsRow
	for _, j := range list {
		r := jobsRow{Name: p.jobState(j.State), Text: p.frame.Number(j.N), Bad: j.State == queue.JobDiscarded && j.N > 0}
		if j.More {
			r.Text = p.t("1,000 or more")
		}
		out = append(out, r)
	}
	return out, nil
}

// replica tells whether lists are read from the replica; nil where there is none.
func (p *page) replica(f Facts) *health {
	if !f.Replica {
		return nil
	}
	h := &health{Name: p.t("Replica for lists and searches"), Badge: view.Badge{Kind: "warn", Icon: "alert", Text: p.t("Not in use")}}
	switch f.ReplicaProblem {
	case "":
		h.Text = p.t("This process reads lists and searches from the replica.")
		h.Badge = view.Badge{Kind: "good", Icon: "check", Text: p.t("In use")}
	case postgres.ReplicaBehind:
		h.Text = p.t("The replica is behind, so lists and searches are read from the primary.")
	case postgres.ReplicaForeign:
		h.Text = p.t("The server is not a standby of the primary, so lists and searches are read from the primary.")
	case postgres.ReplicaUnreachable:
		h.Text = p.t("The replica does not answer, so lists and searches are read from the primary.")
	}
	return h
}

func (p *page) jobState(state queue.JobState) string {
	switch state {
	case queue.JobAvailable:
		return p.t("Ready")
	case queue.JobRunning:
		return p.t("Running")
	case queue.JobScheduled:
		return p.t("Scheduled")
	case queue.JobRetryable:
		return p.t("Retrying")
	case queue.JobDiscarded:
		return p.t("Failed for good")
	}
	return string(state)
}

// pace returns the rate limit of a provider account as a sentence.
func (s *console) pace(p *page, account string) string {
	if s.PaceOf == nil {
		return ""
	}
	most := s.PaceOf(account)
	if most <= 0 {
		return ""
	}
	return p.t("At most %s messages per second.", strconv.FormatFloat(most, 'f', -1, 64))
}

// accounts is how the providers' accounts stand, in plain words.
func (s *console) accounts(p *page, o outcomes) ([]health, error) {
	list, err := queue.ListAccounts(p.ctx(), s.DB)
	if err != nil {
		return nil, err
	}
	mode := "/" + p.frame.Mode()
	var out []health
	for _, a := range list {
		if s.AccountOf != nil && !s.AccountOf(p.by.Place, a.Name) {
			continue
		}
		h := health{Name: story.ProviderName(strings.TrimSuffix(a.Name, mode))}
		switch {
		case a.Open:
			h.Text = p.t("This provider has been rejecting messages. They are queued and will be sent automatically when it recovers.")
			h.Badge = p.state(picture.Bad)
		case a.Failures > 0:
			h.Text = p.frame.TN("%d call in a row failed; sending continues.", "%d calls in a row failed; sending continues.", a.Failures)
			h.Badge = p.state(picture.Warn)
		default:
			h.Text = p.t("Accepting messages.")
			h.Badge = p.state(picture.Good)
		}
		if a.ReportedAgo >= 0 {
			h.Text += " " + p.t("Last delivery report: %s.", p.frame.Relative(p.frame.Now.Add(-a.ReportedAgo)))
		}
		h.Pace = s.pace(p, a.Name)
		out = append(out, p.byOutcomes(h, o, providerOf(a.Name)))
	}
	pipedream, found, err := s.pipedream(p)
	if err != nil {
		return nil, err
	}
	if found {
		pipedream.Strip = p.strip(o, counts.Pipedream)
		out = append(out, pipedream)
	}
	hooks, found, err := s.webhookHealth(p, o)
	if err != nil {
		return nil, err
	}
	if found {
		out = append(out, hooks)
	}
	return out, nil
}

func (s *console) stopSending(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	changed, err := s.Pause.Stop(p.ctx(), p.by, invite.Channel(p.Param("channel")), pause.Why(form.Get("why")))
	var known *invite.Error
	switch {
	case errors.As(err, &known):
		return p.done(p.frame.URL("system"), "bad", p.t("Nothing was paused. Choose a reason first."))
	case err != nil:
		return err
	case !changed:
		return p.done(p.frame.URL("system"), "note", p.t("Sending was already paused."))
	}
	return p.done(p.frame.URL("system"), "good", p.t("Paused. Messages are queued until sending is resumed."))
}

func (s *console) resumeSending(p *page) error {
	changed, err := s.Pause.Resume(p.ctx(), p.by, invite.Channel(p.Param("channel")))
	return p.resumed(changed, err, "system", p.t("Sending was already running."), p.t("Sending resumed. Queued messages go out now."))
}

// held returns the paused channels, for the banner.
func (s *console) held(ctx context.Context, p *page) ([]view.Held, error) {
	lanes, err := queue.ListHeld(ctx, s.DB, p.by.Project)
	if err != nil {
		return nil, err
	}
	var out []view.Held
	for _, l := range lanes {
		for _, ch := range invite.Channels() {
			if l.Lane == p.by.Lane(ch) {
				out = append(out, view.Held{Text: story.PausedText(p.frame, ch), Live: p.by.Live, Why: p.t(whyName(l.HeldWhy)), Effect: p.t("Messages are queued; nothing is lost."), Since: *l.HeldAt})
			}
		}
	}
	subjects, err := s.pausedSubjects(ctx, p)
	return append(out, subjects...), err
}

package firewall

import (
	"context"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// shownInvites is how many reported invites a pause names.
const shownInvites = 20

// noteReport counts a report about an invite, and pauses the API key that made it where
// there are too many: of its messages, or of those with the name of one inviter.
func (s *Service) noteReport(ctx context.Context, tx pgx.Tx, a ledger.Applied) error {
	if slices.Contains(a.Effects, invite.EffectPublishReportWithdrawn) {
		return traffic.DeleteReport(ctx, tx, a.Project, a.ID)
	}
	kind := ""
	switch {
	case slices.Contains(a.Effects, invite.EffectPublishReported):
		kind = traffic.KindReported
	case slices.Contains(a.Effects, invite.EffectPublishComplained):
		kind = traffic.KindComplained
	}
	project, known := s.p.Project(a.Project)
	if kind == "" || !a.Live || !known {
		return nil
	}
	stats, ok, err := traffic.AddReport(ctx, tx, a.ID, kind)
	if err != nil || !ok || project.Firewall.Off {
		return err
	}
	f := traffic.Figures{Sent: stats.Messages, Reports: len(stats.Reported), WindowS: int(traffic.ReportWindow.Seconds())}
	reported := stats.Reported
	if !tooMany(f.Reports, f.Sent, project.Firewall) {
		if reported, f, err = s.byInviter(ctx, tx, a, stats, f); err != nil || !tooMany(f.Reports, f.Sent, project.Firewall) {
			return err
		}
		f.Inviter = true
	}
	for _, one := range reported[:min(len(reported), shownInvites)] {
		f.Invites = append(f.Invites, one.ID.String())
	}
	_, err = s.insert(ctx, tx, traffic.NewPause{
		Subject: traffic.Subject{Place: a.Place, Scope: traffic.Key, Name: stats.Key.String()},
		Source:  traffic.ByReports, Why: traffic.WhyReported, Figures: f, At: stats.Now,
	})
	return err
}

// tooMany reports whether reports are enough in number and in their part of messages.
func tooMany(reports, messages int, f config.Firewall) bool {
	return reports >= f.LeastReports && 100*reports >= f.ReportsPercent*messages
}

// byInviter returns the reports about invites with the name of the reported invite's
// inviter, and the figures for them. The number of messages with this name is estimated
// from the key's latest invites.
func (s *Service) byInviter(ctx context.Context, tx pgx.Tx, a ledger.Applied, stats traffic.KeyStats, f traffic.Figures) ([]traffic.ReportedInvite, traffic.Figures, error) {
	var name string
	for _, one := range stats.Reported {
		if one.ID == a.ID {
			name = s.inviter(one)
		}
	}
	if name == "" {
		return nil, traffic.Figures{}, nil
	}
	hasName := func(one traffic.ReportedInvite) bool { return s.inviter(one) == name }
	reported := slices.DeleteFunc(slices.Clone(stats.Reported), func(one traffic.ReportedInvite) bool { return !hasName(one) })
	f.Reports = len(reported)
	sample, err := traffic.ListContents(ctx, tx, a.Place, stats.Key)
	if err != nil || len(sample) == 0 {
		return nil, traffic.Figures{}, err
	}
	with := 0
	for _, one := range sample {
		if hasName(one) {
			with++
		}
	}
	f.Sent = max(f.Reports, int(math.Ceil(float64(f.Sent)*float64(with)/float64(len(sample)))))
	return reported, f, nil
}

// inviter is the name of an invite's inviter; empty where none is given, and where the
// invite was erased or cannot be read: then it counts for no inviter.
func (s *Service) inviter(one traffic.ReportedInvite) string {
	if one.Content == nil {
		return ""
	}
	content, err := find.Open(s.p.Box, one.ID, one.Content)
	if err != nil {
		return ""
	}
	return content.Inviter
}

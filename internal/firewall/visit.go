package firewall

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// Note counts a person's first visit and reports about messages, in the transaction that
// records them. Use cases call it where they publish.
func (s *Service) Note(ctx context.Context, tx pgx.Tx, a ledger.Applied) error {
	if err := s.noteReport(ctx, tx, a); err != nil {
		return err
	}
	if !a.Live || !visitedFirst(a.Before, a.State) || !wasTexted(a.State) {
		return nil
	}
	var content []byte
	var sent, now time.Time
	err := tx.QueryRow(ctx, `
		SELECT i.content, a.started_at, now() FROM invites i
		JOIN deliveries d ON d.invite_id = i.id AND d.channel = $2 AND d.kind <> $3
		JOIN attempts a ON a.invite_id = d.invite_id AND a.delivery_id = d.id AND a.outcome = 'accepted'
		WHERE i.id = $1 AND i.content IS NOT NULL ORDER BY a.started_at DESC LIMIT 1`, a.ID, traffic.Channel(), invite.KindPasscode).Scan(&content, &sent, &now)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the message that invite %s was visited by: %w", a.ID, postgres.Translate(err))
	}
	opened, err := find.Open(s.p.Box, a.ID, content)
	if err != nil {
		// The visit itself must be recorded.
		s.p.Log.WarnContext(ctx, "a visit was not counted by the spend firewall: the invite cannot be read", "invite", a.ID.String(), "err", err)
		return nil
	}
	to := opened.Recipient.Address(traffic.Channel())
	if to == "" {
		return nil
	}
	return traffic.AddVisit(ctx, tx, traffic.Sent{Project: a.Project, To: to, At: sent}, now.Sub(sent))
}

// visitedFirst reports whether a person came for the first time, or connected an
// account without having been seen on the page.
func visitedFirst(before, after invite.State) bool {
	return before.Progress == invite.NotOpened && before.Status != invite.Connected &&
		(after.Progress != invite.NotOpened || after.Status == invite.Connected)
}

// wasTexted reports whether a text message was sent for an invite.
func wasTexted(s invite.State) bool {
	for _, d := range s.Deliveries {
		if d.Channel == traffic.Channel() && d.Kind != invite.KindPasscode {
			return true
		}
	}
	return false
}

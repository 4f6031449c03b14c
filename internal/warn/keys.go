package warn

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/account"
)

// TellKeys raises the warnings of API keys that end within 30 and 7 days and have no
// replacement, once each, and returns their number.
func (s *Service) TellKeys(ctx context.Context) (int, error) {
	told := 0
	for {
		var list []account.EndingKey
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) (err error) {
			if list, err = account.LockUntoldKeys(ctx, tx, atOnce); err != nil {
				return err
			}
			now := time.Now()
			for _, k := range list {
				if err := s.p.Alerts.Raise(ctx, tx, k.Place, quota.KeyAlert(k.ID.String(), k.CreatedAt, k.ExpiresAt, now), now); err != nil {
					return err
				}
				if err := account.SetEndTold(ctx, tx, k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return told, fmt.Errorf("warn of keys that end: %w", err)
		}
		for _, k := range list {
			s.p.Log.WarnContext(ctx, "API key ends", "key", k.ID.String(), "project", k.Project, "livemode", k.Live, "ends", k.ExpiresAt.UTC().Format(time.RFC3339))
		}
		if told += len(list); len(list) < atOnce {
			return told, s.countKeys(ctx)
		}
	}
}

// countKeys sets the gauge of keys that end.
func (s *Service) countKeys(ctx context.Context) error {
	for _, days := range []int{account.FirstWarning, account.LastWarning} {
		n, err := account.CountEndingKeys(ctx, s.p.DB, days)
		if err != nil {
			return err
		}
		s.ending.WithLabelValues(strconv.Itoa(days)).Set(float64(n))
	}
	return nil
}

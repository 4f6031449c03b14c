package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

// used is what a subject used so far, with the messages that a forecast added.
type used struct {
	Messages int64 // today; of people, in the last 24 hours
	Hour     int64 // of people, in the last 60 minutes
	Cost     int64 // today
	Extra    int64 // messages beyond the maximum that staff granted a person
}

// Forecast returns for each of several messages the *LimitError that it would meet if
// they were sent now, one after the other; nil if it would be allowed. Nothing is
// counted, and FreeIn is not set.
func Forecast(ctx context.Context, db postgres.DB, messages [][]Use) ([]*LimitError, error) {
	type subject struct {
		scope UseScope
		name  string
	}
	var scopes []string
	var names [][]byte
	state := map[subject]*used{}
	for _, m := range messages {
		for _, u := range m {
			s := subject{u.Scope, string(u.Subject)}
			if state[s] == nil {
				state[s] = &used{}
				scopes, names = append(scopes, string(u.Scope)), append(names, u.Subject)
			}
		}
	}
	rows, _ := db.Query(ctx, `
		SELECT t.scope, t.subject, u.messages, u.hour, u.cost, u.extra FROM unnest($1::text[], $2::bytea[]) AS t (scope, subject)
		CROSS JOIN LATERAL (
			SELECT CASE WHEN times IS NULL THEN messages ELSE (SELECT count(*) FROM unnest(times) x WHERE x > now() - interval '1 day') END AS messages,
				(SELECT count(*) FROM unnest(times) x WHERE x > now() - interval '1 hour') AS hour, cost,
				CASE WHEN extra_until > now() THEN extra ELSE 0 END::bigint AS extra
			FROM sending_uses WHERE scope = t.scope AND subject = t.subject
				AND day = CASE WHEN t.scope IN ('recipient', 'user') THEN date '1970-01-01' ELSE (now() AT TIME ZONE 'UTC')::date END OFFSET 0
		) u`, scopes, names)
	var scope string
	var name []byte
	var u used
	_, err := pgx.ForEachRow(rows, []any{&scope, &name, &u.Messages, &u.Hour, &u.Cost, &u.Extra}, func() error {
		*state[subject{UseScope(scope), string(name)}] = u
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("forecast the uses of %d messages: %w", len(messages), postgres.Translate(err))
	}
	out := make([]*LimitError, len(messages))
	for i, m := range messages {
		for _, use := range m {
			if out[i] = state[subject{use.Scope, string(use.Subject)}].refusal(use); out[i] != nil {
				break
			}
		}
		if out[i] != nil {
			continue
		}
		for _, use := range m {
			s := state[subject{use.Scope, string(use.Subject)}]
			s.Messages, s.Hour, s.Cost = s.Messages+1, s.Hour+1, s.Cost+use.Cost
		}
	}
	return out, nil
}

// refusal is the refusal of one more message; nil if it is within every maximum.
func (u *used) refusal(use Use) *LimitError {
	switch {
	case use.PerHour > 0 && u.Hour >= int64(use.PerHour)+u.Extra:
		return &LimitError{Use: use, Measure: MeasureHour, Used: u.Hour}
	case use.PerDay > 0 && u.Messages >= int64(use.PerDay)+u.Extra:
		return &LimitError{Use: use, Measure: MeasureDay, Used: u.Messages}
	case use.MaxCost > 0 && u.Cost+use.Cost > use.MaxCost:
		return &LimitError{Use: use, Measure: MeasureCost, Used: u.Cost}
	}
	return nil
}

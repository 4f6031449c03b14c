package find

import (
	"context"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// MintingWindow is how far back failed requests for links are counted.
const MintingWindow = 15 * time.Minute

// Minting is how Pipedream does for one project and mode, by the outcomes of
// requests for connect links.
type Minting struct {
	Waiting int  // messages that wait for a link because a request failed, up to CountCap
	Refused bool // some of them because Pipedream refuses our account
	Failed  int  // failed requests within MintingWindow, up to CountCap
	People  int  // recipients among them, who met a page that asks to try again
	// FailedAgo and MintedAgo are how long ago the latest request failed, and the
	// latest link was issued; negative: not known.
	FailedAgo, MintedAgo time.Duration
}

// Failing reports whether requests fail and none went well since. One that failed
// alone may have been wrong by itself.
func (m Minting) Failing() bool {
	return (m.Waiting > 0 || m.Failed >= 3) && (m.MintedAgo < 0 || m.FailedAgo >= 0 && m.FailedAgo < m.MintedAgo)
}

// newestLinks is how many of the newest invites are asked for the latest link.
const newestLinks = 100

// GetMinting reads it.
func GetMinting(ctx context.Context, db postgres.DB, place invite.Place) (Minting, error) {
	var m Minting
	var failed, minted float64
	err := db.QueryRow(ctx, fmt.Sprintf(`
		WITH waiting AS (
			SELECT d.reason, d.updated_at FROM deliveries d
			WHERE d.project_id = $1 AND d.livemode = $2 AND d.reason <> '' AND d.reason IN ('link_unavailable', 'provider_account') AND d.status = 'queued'
				AND d.provider = '' LIMIT %d
		), failures AS (
			SELECT invite_id, actor, occurred_at FROM events
			WHERE project_id = $1 AND livemode = $2 AND type = 'link.mint_failed' AND occurred_at > now() - make_interval(secs => $3)
			ORDER BY occurred_at DESC LIMIT %d
		), newest AS (
			SELECT id FROM invites WHERE project_id = $1 AND livemode = $2 ORDER BY id DESC LIMIT %d
		), issued AS (
			SELECT max(minted_at) AS at FROM connect_links WHERE invite_id IN (SELECT id FROM newest UNION SELECT invite_id FROM failures)
		)
		SELECT (SELECT count(*) FROM waiting), EXISTS (SELECT FROM waiting WHERE reason = 'provider_account'),
			(SELECT count(*) FROM failures), (SELECT count(DISTINCT invite_id) FROM failures WHERE actor = 'recipient'),
			coalesce(extract(epoch FROM now() - greatest((SELECT max(occurred_at) FROM failures), (SELECT max(updated_at) FROM waiting))), -1)::float8,
			coalesce(extract(epoch FROM now() - (SELECT at FROM issued)), -1)::float8`, CountCap, CountCap, newestLinks),
		place.Project, place.Live, MintingWindow.Seconds()).Scan(&m.Waiting, &m.Refused, &m.Failed, &m.People, &failed, &minted)
	if err != nil {
		return m, fmt.Errorf("read how requests for links went: %w", postgres.Translate(err))
	}
	m.FailedAgo, m.MintedAgo = time.Duration(failed*float64(time.Second)), time.Duration(minted*float64(time.Second))
	return m, nil
}

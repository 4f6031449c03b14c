package traffic

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

const (
	// BucketOf is how much time of sending one row covers.
	BucketOf = 5 * time.Minute
	// Slots is how many parts of the day the baseline tells apart.
	Slots = 8
)

// Delays are the ends of the bins by which the delay between a message and its visit
// is counted. A later visit is not counted.
func Delays() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour}
}

// Kept is how long messages are looked at before they become part of the baseline.
const Kept = 25 * time.Hour

// SlotOf is the part of the day in which a message was sent.
func SlotOf(at time.Time) int { return at.UTC().Hour() * Slots / 24 }

// Sent is a text message that was handed over, to a person who had not visited before.
type Sent struct {
	Project string
	To      string    // in E.164
	At      time.Time // when its attempt began, by the database
}

// areas returns the country of a number, and the names of the rows that count it in
// the order in which they are locked.
func areas(to string) (country string, names []string) {
	country = CountryOf(to)
	names = []string{country}
	if prefix := PrefixOf(to); prefix != "" {
		names = append(names, prefix)
	}
	slices.Sort(names)
	return country, names
}

type counted struct {
	project, area string
	bucket        time.Time
}

// QueueSent counts messages. The statement becomes part of the batch; without messages
// there is none. A transaction that is repeated after an unknown end counts twice.
func QueueSent(batch *pgx.Batch, list []Sent) {
	if len(list) == 0 {
		return
	}
	sums := make(map[counted]*[2]int64)
	countries := make(map[counted]string)
	for _, s := range list {
		country, names := areas(s.To)
		bucket := s.At.UTC().Truncate(BucketOf)
		for _, area := range names {
			k := counted{s.Project, area, bucket}
			if sums[k] == nil {
				sums[k] = new([2]int64)
			}
			sums[k][0]++
			sums[k][1] += int64(s.At.Sub(bucket) / time.Second)
			countries[k] = country
		}
	}
	keys := make([]counted, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	// All writers lock the rows in this order.
	slices.SortFunc(keys, func(a, b counted) int {
		return cmp.Or(cmp.Compare(a.project, b.project), cmp.Compare(a.area, b.area), a.bucket.Compare(b.bucket))
	})
	var projects, names, of []string
	var buckets []time.Time
	var sent, offsets []int64
	for _, k := range keys {
		projects, names, of, buckets = append(projects, k.project), append(names, k.area), append(of, countries[k]), append(buckets, k.bucket)
		sent, offsets = append(sent, sums[k][0]), append(offsets, sums[k][1])
	}
	batch.Queue(`
		INSERT INTO text_traffic AS x (project_id, area, country, bucket, sent, offset_s)
		SELECT t.project, t.area, t.country, t.bucket, t.sent, t.seconds
		FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[])
			WITH ORDINALITY AS t(project, area, country, bucket, sent, seconds, n)
		ORDER BY t.n
		ON CONFLICT (project_id, area, bucket) DO UPDATE SET sent = x.sent + excluded.sent, offset_s = x.offset_s + excluded.offset_s`,
		projects, names, of, buckets, sent, offsets)
}

// AddVisit counts the first visit of a person to a message that was counted as sent.
func AddVisit(ctx context.Context, tx pgx.Tx, s Sent, delay time.Duration) error {
	bin := slices.IndexFunc(Delays(), func(end time.Duration) bool { return delay < end })
	if bin < 0 {
		return nil
	}
	_, names := areas(s.To)
	_, err := tx.Exec(ctx, `
		WITH locked AS (
			SELECT area FROM text_traffic WHERE project_id = $1 AND area = ANY($2) AND bucket = $3 ORDER BY area FOR NO KEY UPDATE
		)
		UPDATE text_traffic x SET visits[$4] = x.visits[$4] + 1
		FROM locked l WHERE x.project_id = $1 AND x.area = l.area AND x.bucket = $3`,
		s.Project, names, s.At.UTC().Truncate(BucketOf), bin+1)
	if err != nil {
		return fmt.Errorf("count a visit: %w", postgres.Translate(err))
	}
	return nil
}

// Cohort is the messages to an area that were sent within one bucket.
type Cohort struct {
	Project string
	Area    string
	Country string
	Bucket  time.Time
	Sent    int
	Mean    time.Time // the mean time of sending
	Visited int
}

// IsPrefix reports whether the area is a range of numbers, not a country.
func (c Cohort) IsPrefix() bool { return c.Area != c.Country }

// ListCohorts returns the messages since a time to those areas to which some were sent
// since active, by area and time.
func ListCohorts(ctx context.Context, db postgres.DB, since, active time.Time) ([]Cohort, error) {
	rows, _ := db.Query(ctx, `
		WITH active AS MATERIALIZED (
			SELECT DISTINCT project_id, area FROM text_traffic WHERE bucket >= $2
		)
		SELECT x.project_id, x.area, x.country, x.bucket, x.sent, x.offset_s, v.n
		FROM active a CROSS JOIN LATERAL (
			SELECT * FROM text_traffic x WHERE x.project_id = a.project_id AND x.area = a.area AND x.bucket >= $1
		) x CROSS JOIN LATERAL (SELECT sum(n)::int AS n FROM unnest(x.visits) n) v
		WHERE x.sent > 0
		ORDER BY x.project_id, x.area, x.bucket`, since, active)
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Cohort, error) {
		var c Cohort
		var offset int64
		err := r.Scan(&c.Project, &c.Area, &c.Country, &c.Bucket, &c.Sent, &offset, &c.Visited)
		c.Mean = c.Bucket.Add(time.Duration(offset) * time.Second / time.Duration(max(c.Sent, 1)))
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("list text traffic: %w", postgres.Translate(err))
	}
	return list, nil
}

// Baseline is what the messages of a project to a country came to, by the part of the
// day in which they were sent.
type Baseline struct {
	Project string
	Country string
	Sent    [Slots]float64
	Visits  [Slots][]float64 // by delay, as Delays
}

// ListBaselines returns the baselines of every project.
func ListBaselines(ctx context.Context, db postgres.DB) ([]Baseline, error) {
	rows, _ := db.Query(ctx, `SELECT project_id, country, slot, sent, visits FROM text_baselines ORDER BY project_id, country`)
	var out []Baseline
	var project, country string
	var slot int
	var sent float64
	var visits []float64
	_, err := pgx.ForEachRow(rows, []any{&project, &country, &slot, &sent, &visits}, func() error {
		if n := len(out); n == 0 || out[n-1].Project != project || out[n-1].Country != country {
			out = append(out, Baseline{Project: project, Country: country})
		}
		b := &out[len(out)-1]
		b.Sent[slot], b.Visits[slot] = sent, slices.Clone(visits)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list baselines of text traffic: %w", postgres.Translate(err))
	}
	return out, nil
}

// halfLife is the age at which a message weighs half in the baseline.
const halfLife = 14 * 24 * time.Hour

// Learn adds the messages that were sent before a time to the baselines of their
// countries, and deletes their rows: n rows at most. It returns their number.
func Learn(ctx context.Context, tx pgx.Tx, before time.Time, n int) (int, error) {
	var learned int
	err := tx.QueryRow(ctx, `
		WITH old AS (
			DELETE FROM text_traffic WHERE (project_id, area, bucket) IN (
				SELECT project_id, area, bucket FROM text_traffic WHERE bucket < $1 ORDER BY bucket LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING *
		), sums AS (
			SELECT project_id, country, floor(extract(hour FROM bucket AT TIME ZONE 'UTC') * $3 / 24)::smallint AS slot, sum(sent)::float8 AS sent,
				ARRAY[sum(visits[1]), sum(visits[2]), sum(visits[3]), sum(visits[4]), sum(visits[5]), sum(visits[6]), sum(visits[7])]::float8[] AS visits
			FROM old WHERE area = country AND sent > 0 GROUP BY 1, 2, 3
		), added AS (
			INSERT INTO text_baselines AS b (project_id, country, slot, sent, visits, learned_at)
			SELECT project_id, country, slot, sent, visits, $1 FROM sums ORDER BY project_id, country, slot
			ON CONFLICT (project_id, country, slot) DO UPDATE SET
				sent = b.sent * power(0.5, extract(epoch FROM greatest(excluded.learned_at - b.learned_at, interval '0'))::float8 / $4) + excluded.sent,
				visits = (SELECT array_agg(coalesce(was, 0) * power(0.5, extract(epoch FROM greatest(excluded.learned_at - b.learned_at, interval '0'))::float8 / $4) + new ORDER BY i)
					FROM unnest(b.visits, excluded.visits) WITH ORDINALITY AS v(was, new, i)),
				learned_at = greatest(b.learned_at, excluded.learned_at)
		)
		SELECT count(*) FROM old`, before, n, Slots, halfLife.Seconds()).Scan(&learned)
	if err != nil {
		return 0, fmt.Errorf("learn from text traffic: %w", postgres.Translate(err))
	}
	return learned, nil
}

// Forget deletes the messages of a paused area, so that they are neither learned from
// nor counted after it was resumed. Those of a range of numbers are also taken out of
// their country's.
func Forget(ctx context.Context, tx pgx.Tx, project, area, country string) error {
	if area == country {
		_, err := tx.Exec(ctx, `
			WITH locked AS (
				SELECT area, bucket FROM text_traffic WHERE project_id = $1 AND country = $2 ORDER BY area, bucket FOR UPDATE
			)
			DELETE FROM text_traffic x USING locked l WHERE x.project_id = $1 AND x.area = l.area AND x.bucket = l.bucket`, project, country)
		if err != nil {
			return fmt.Errorf("forget text traffic: %w", postgres.Translate(err))
		}
		return nil
	}
	_, err := tx.Exec(ctx, `
		WITH locked AS (
			SELECT area, bucket, sent, offset_s, visits FROM text_traffic WHERE project_id = $1 AND area = ANY($2) ORDER BY area, bucket FOR UPDATE
		), gone AS (
			DELETE FROM text_traffic x USING locked l WHERE x.project_id = $1 AND x.area = l.area AND x.bucket = l.bucket AND l.area = $3
			RETURNING l.bucket, l.sent, l.offset_s, l.visits
		)
		UPDATE text_traffic x SET sent = greatest(x.sent - g.sent, 0), offset_s = greatest(x.offset_s - g.offset_s, 0),
			visits = (SELECT array_agg(greatest(a - b, 0) ORDER BY i) FROM unnest(x.visits, g.visits) WITH ORDINALITY AS v(a, b, i))
		FROM gone g WHERE x.project_id = $1 AND x.area = $4 AND x.bucket = g.bucket`, project, []string{area, country}, area, country)
	if err != nil {
		return fmt.Errorf("forget text traffic: %w", postgres.Translate(err))
	}
	return nil
}

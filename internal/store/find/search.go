package find

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// Query is a search within one project and mode.
type Query struct {
	invite.Place

	Region string // of numbers without a country code
	Text   string // as typed or pasted
	Limit  int
	After  invite.ID // keyset: only hits older than this one
	Before invite.ID // keyset, the other way: the page just newer than this one
}

// MaxHits is how many hits of one search can be paged through.
const MaxHits = 1000

// Hit is an invite that was found, and by what.
type Hit struct {
	Invite
	By By
	// Slips, of a similar one, is the number of typing errors between its address
	// and Typed, the similar part of the typed text; 0: they differ by more.
	Slips int
	Typed string
}

// Found is the answer to a Query.
type Found struct {
	// Hits are what the text names, newest first.
	Hits []Hit
	// More says that there are others, older than these.
	More bool
	// Count is about all hits of the search, Newer about the first of Hits. What is
	// found beyond MaxHits is not listed.
	Count Count
	// Similar, only without hits, are recent invites whose message failed and
	// whose recipient resembles the text: the typed address is usually right,
	// and the typing error is in ours. The likeliest comes first.
	Similar []Hit
	// AtDomain is how many others among the recent ones share the domain only.
	AtDomain int
}

// Search finds invites by any of their names: an address, an id, a link, a
// provider's id. Any text has an answer; an unknown one finds nothing.
func Search(ctx context.Context, db postgres.DB, box *seal.Box, q Query) (Found, error) {
	if q.Limit <= 0 {
		q.Limit = 25
	}
	m := understand(q.Text, q.Region)
	s := &search{q: q, box: box, hits: map[invite.ID]By{}}
	if m.user != "" {
		var err error
		if s.user, err = NewUser(box, q.Place, m.user).resolve(ctx, db, ""); err != nil {
			return Found{}, err
		}
	}
	s.ask(m)
	if err := s.run(ctx, db); err != nil {
		return Found{}, err
	}
	if len(s.hits) > 0 {
		return s.load(ctx, db)
	}
	if !q.After.IsZero() || !q.Before.IsZero() { // a later page of a search whose hits are gone
		return Found{}, nil
	}
	similar, atDomain, err := s.similar(ctx, db, m)
	return Found{Similar: similar, AtDomain: atDomain}, err
}

// search collects the look-ups of one query: they go in one round trip.
type search struct {
	q     Query
	box   *seal.Box
	user  User
	batch pgx.Batch
	hits  map[invite.ID]By
	least bool // a look-up can have left hits out
}

func (s *search) queue(by By, sql string, args ...any) {
	s.batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowTo[invite.ID])
		s.least = s.least || len(found) > MaxHits
		for _, id := range found {
			if _, ok := s.hits[id]; !ok {
				s.hits[id] = by
			}
		}
		return err
	})
}

func (s *search) run(ctx context.Context, db postgres.DB) error {
	if s.batch.Len() == 0 {
		return nil
	}
	if err := db.SendBatch(ctx, &s.batch).Close(); err != nil {
		return fmt.Errorf("search: %w", postgres.Translate(err))
	}
	return nil
}

const (
	byInvite = `SELECT id FROM invites WHERE id = ANY($1) AND project_id = $2 AND livemode = $3`

	// A reference has the second in which the id was made, and its end. Seconds in which
	// nothing was made cost one look-up each.
	byReference = `SELECT i.id FROM unnest($3::uuid[], $4::uuid[]) AS second (first, after)
		CROSS JOIN LATERAL (
			SELECT id FROM invites WHERE project_id = $1 AND livemode = $2 AND id >= second.first AND id < second.after OFFSET 0
		) i
		WHERE substring(uuid_send(i.id) FROM 15) = $5 LIMIT $6`
	// referenceSeconds is how many times a reference is looked for: over two years.
	referenceSeconds = 4

	byDelivery = `SELECT invite_id FROM deliveries WHERE id = ANY($1) AND project_id = $2 AND livemode = $3`

	byCode = `SELECT i.id FROM codes c JOIN invites i ON i.id = c.invite_id
		WHERE c.digest = ANY($1) AND i.project_id = $2 AND i.livemode = $3`

	byToken = `SELECT i.id FROM connect_links l JOIN invites i ON i.id = l.invite_id
		WHERE l.token_digest = ANY($1) AND i.project_id = $2 AND i.livemode = $3`

	// The empty id is left out in words that the partial index has too.
	byMessage = `SELECT i.id FROM attempts a JOIN invites i ON i.id = a.invite_id
		WHERE a.provider_message_id = ANY($1) AND a.provider_message_id <> '' AND i.project_id = $2 AND i.livemode = $3 LIMIT $4`

	byAccount = `SELECT id FROM invites
		WHERE account_id = ANY($1) AND account_id <> '' AND project_id = $2 AND livemode = $3 ORDER BY id DESC LIMIT $4`

	// An index walk per app would need their names; one person has few invites.
	byUser = `SELECT id FROM %s i WHERE project_id = $1 AND livemode = $2 ORDER BY id DESC LIMIT $3`

	// The id of an attempt has the time of its start, of the process's clock; the
	// attempts of that time are found along an index of a few pages.
	byAttempt = `SELECT i.id FROM attempts a JOIN invites i ON i.id = a.invite_id
		WHERE a.id = $1 AND a.started_at BETWEEN $4 AND $5 AND i.project_id = $2 AND i.livemode = $3`

	byResend = `SELECT invite_id FROM events WHERE type = 'resent' AND data ->> 'request_id' = $1 AND project_id = $2 AND livemode = $3 LIMIT $4`

	// Creating a request's invite is looked up without an index of its own: the
	// invite's id carries its request's time (issue makes it so), so it is among
	// the first from then on. Ids of older versions lie a little later; so many
	// invites behind a request nothing is looked for any more.
	byCreate = `SELECT c.id FROM (SELECT id FROM invites WHERE project_id = $2 AND livemode = $3 AND id >= $4 ORDER BY id LIMIT 1000) c
		CROSS JOIN LATERAL (SELECT data FROM events WHERE invite_id = c.id AND seq = 1 OFFSET 0) e
		WHERE e.data ->> 'request_id' = $1 ORDER BY c.id LIMIT 1`

	// One walk per live key, each of them along the index.
	byTerm = `SELECT t.invite_id FROM unnest($1::bytea[]) h
		CROSS JOIN LATERAL (SELECT invite_id FROM search_terms WHERE hash = h ORDER BY invite_id DESC LIMIT $2) t`

	// Of a name every word must match. The rarest word is unknown, so for each
	// word the newest invites are read and checked for the others: that finds
	// every invite with a rare word. Each word is a look-up of its own, so that
	// the planner cannot join them.
	byWord = `SELECT t.invite_id FROM unnest($1::bytea[]) h
		CROSS JOIN LATERAL (SELECT invite_id FROM search_terms WHERE hash = h ORDER BY invite_id DESC LIMIT $2) t
		WHERE %s ORDER BY t.invite_id DESC LIMIT $3`
	hasWord = `(SELECT true FROM search_terms WHERE invite_id = t.invite_id AND hash = ANY($%d) LIMIT 1)`

	// Where all words are common, the newest thousands of each are laid side by
	// side: to walk them costs a hundredth of looking them up.
	byWords = `SELECT invite_id FROM (%s) w GROUP BY invite_id HAVING count(*) = %d ORDER BY invite_id DESC LIMIT $1`
	ofWord  = `SELECT t.invite_id FROM unnest($%d::bytea[]) h
		CROSS JOIN LATERAL (SELECT invite_id FROM search_terms WHERE hash = h ORDER BY invite_id DESC LIMIT 10000) t`

	// tried is how many invites are looked up, for all words together.
	tried = 600
)

func (s *search) ask(m meaning) {
	project, mode, most := s.q.Project, s.q.Live, MaxHits+1
	if len(m.invites) > 0 {
		s.queue(ByInvite, byInvite, m.invites, project, mode)
	}
	if m.reference != nil {
		var first, after []invite.ID
		for _, at := range m.reference.Seconds(time.Now().Add(clockSlack), referenceSeconds) {
			first, after = append(first, invite.From[invite.ID](at)), append(after, invite.From[invite.ID](at.Add(time.Second)))
		}
		s.queue(ByReference, byReference, project, mode, first, after, m.reference.Tail(), most)
	}
	if len(m.deliveries) > 0 {
		s.queue(ByDelivery, byDelivery, m.deliveries, project, mode)
	}
	for _, r := range m.requests {
		s.queue(ByRequest, byResend, r.String(), project, mode, most)
		s.queue(ByRequest, byCreate, r.String(), project, mode, invite.From[invite.ID](r.Time()))
	}
	if d := digests(m.codes); len(d) > 0 {
		s.queue(ByLink, byCode, d, project, mode)
	}
	if d := digests(m.tokens); len(d) > 0 {
		s.queue(ByConnectLink, byToken, d, project, mode)
	}
	if len(m.accounts) > 0 {
		s.queue(ByAccount, byAccount, m.accounts, project, mode, most)
	}
	if m.user != "" {
		args := arguments{project, mode, most}
		sql := fmt.Sprintf(byUser, s.user.table(args.add))
		s.queue(ByUser, sql, args...)
	}
	for _, id := range m.attempts {
		s.queue(ByMessage, byAttempt, id, project, mode, id.Time().Add(-clockSlack), id.Time().Add(clockSlack))
	}
	if len(m.messages) > 0 {
		s.queue(ByMessage, byMessage, m.messages, project, mode, most)
	}
	for _, email := range m.emails {
		s.queue(ByEmail, byTerm, s.hashes(contact.Term{Kind: contact.TermEmail, Value: email}), most)
	}
	if m.phone != "" {
		var hashes []seal.Hash
		for _, form := range contact.PhoneForms(m.phone) {
			hashes = append(hashes, s.hashes(contact.Term{Kind: contact.TermPhone, Value: form})...)
		}
		s.queue(ByPhone, byTerm, hashes, most)
	}
	for _, t := range []struct {
		by          By
		kind, value string
	}{
		{ByDomain, contact.TermDomain, m.domain},
		{ByLast4, contact.TermLast4, m.last4},
	} {
		if t.value != "" {
			s.queue(t.by, byTerm, s.hashes(contact.Term{Kind: t.kind, Value: t.value}), most)
		}
	}
	s.askName(m.name, most)
}

func (s *search) askName(words []string, most int) {
	switch len(words) {
	case 0:
	case 1:
		s.queue(ByName, byTerm, s.hashes(contact.Term{Kind: contact.TermName, Value: words[0]}), most)
	default:
		// Only the newest invites of common words are looked at.
		s.least = true
		hashes := make([][]seal.Hash, len(words))
		side := []any{most}
		walks := make([]string, len(words))
		for i, w := range words {
			hashes[i] = s.hashes(contact.Term{Kind: contact.TermName, Value: w})
			side = append(side, hashes[i])
			walks[i] = fmt.Sprintf(ofWord, len(side))
		}
		for i := range words {
			args, has := []any{hashes[i], tried / len(words), most}, make([]string, 0, len(words))
			for j := range words {
				if j != i {
					args = append(args, hashes[j])
					has = append(has, fmt.Sprintf(hasWord, len(args)))
				}
			}
			s.queue(ByName, fmt.Sprintf(byWord, strings.Join(has, " AND ")), args...)
		}
		s.queue(ByName, fmt.Sprintf(byWords, strings.Join(walks, " UNION ALL "), len(words)), side...)
	}
}

func (s *search) hashes(t contact.Term) []seal.Hash {
	return s.box.Hashes(t.Kind, t.Parts(s.q.Place)...)
}

func digests(secrets []secret.Text) [][]byte {
	out := make([][]byte, 0, len(secrets))
	for _, s := range secrets {
		out = append(out, secret.Digest(s))
	}
	return out
}

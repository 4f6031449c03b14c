package track

import (
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// award picks the invite that gets an account.
type assignment struct {
	winner  invite.ID // zero: no invite gets it (any more)
	holder  invite.ID // who has it already
	losers  []invite.ID
	selfHas bool
}

// assignAccount gives an account to one of the rivals. A webhook is about one link,
// so its invite gets the account. A poll cannot know by which link a person
// came: the invite that was last handed out before the account was made has it.
func assignAccount(c ledger.Candidate, rivals []ledger.Candidate, a pipedream.Account, named bool) assignment {
	if isAgain(c, a) {
		return assignAgain(c, rivals, a)
	}
	self := c.ID
	var d assignment
	var best *ledger.Candidate
	for i := range rivals {
		r := &rivals[i]
		if r.ID == self && r.AccountID != "" {
			return assignment{selfHas: true, holder: self}
		}
		if r.AccountID == a.ID {
			d.holder = r.ID
			continue
		}
		if r.AccountID != "" {
			continue
		}
		if named {
			if r.ID == self {
				best = r
			}
			continue
		}
		if from := accountsSince(*r); from == nil || a.CreatedAt.Before(*from) {
			continue
		}
		if best == nil || laterContinued(*r, *best, a.CreatedAt) {
			best = r
		}
	}
	if best != nil && (named || d.holder.IsZero()) {
		d.winner = best.ID
	}
	d.selfHas = d.winner == self
	for _, r := range rivals {
		if r.ID != d.winner && r.AccountID == "" && r.Status.Open() && r.FirstOut != nil && !a.CreatedAt.Before(*r.FirstOut) {
			d.losers = append(d.losers, r.ID)
		}
	}
	return d
}

// laterContinued reports whether x was handed out later than y, of the
// hand-outs before the account; a later one cannot have led to it.
func laterContinued(x, y ledger.Candidate, made time.Time) bool {
	at := func(c ledger.Candidate) time.Time {
		if c.LastOut == nil || c.LastOut.After(made) {
			return *accountsSince(c)
		}
		return *c.LastOut
	}
	return at(x).After(at(y))
}

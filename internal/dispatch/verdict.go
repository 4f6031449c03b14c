package dispatch

import (
	"math/rand/v2"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
)

type ruling int

const (
	rulingRetry  ruling = iota // it did not leave: again, later
	rulingReject               // this message will never be taken
	rulingDoubt                // unknown outcome: reconcile before anything else
)

// verdict is what follows from a failed call.
type verdict struct {
	ruling ruling
	reason invite.Reason
	after  time.Duration // until the next look
	// strikes says that it counts against the provider account, and rest that
	// the account itself was refused or asked for a pause, at least so long.
	strikes bool
	rest    time.Duration
}

// judge is a table in code: outcome and scope decide.
func (d *Dispatcher) judge(e *provider.SendError, tries int, leaseOver bool) verdict {
	v := verdict{reason: e.ReasonOf(), after: max(d.backoff(tries), e.RetryAfter)}
	switch {
	case e.Outcome == provider.Unknown:
		v.ruling, v.strikes = rulingDoubt, true
	case e.Outcome == provider.NotSent && leaseOver:
		// Our own guard spoke, not the provider.
		v.ruling = rulingRetry
	case e.Outcome == provider.NotSent && e.Scope == provider.ScopeMessage && e.ProviderCode != "":
		// The provider answered, and about this recipient only (greylisting): the
		// account works, and others must not wait for it. Greylisting wants minutes
		// (RFC 6647, 4.4).
		v.ruling = rulingRetry
		v.after = max(d.deferral(tries), e.RetryAfter)
	case e.Outcome == provider.NotSent:
		v.ruling, v.strikes = rulingRetry, true
		if e.Scope == provider.ScopeAccount {
			v.rest = e.RetryAfter // 0 when it did not say: then it is one failure like another
		}
	case e.Scope == provider.ScopeAccount:
		// A fault of configuration: the message waits until it is mended.
		v.ruling, v.strikes = rulingRetry, true
		v.rest = max(e.RetryAfter, d.p.AccountHold)
		v.after = max(v.after, v.rest)
	default:
		v.ruling = rulingReject
	}
	return v
}

// backoff is exponential with full jitter, so that a herd spreads out.
func (d *Dispatcher) backoff(tries int) time.Duration {
	return jitterDelay(d.p.RetryFirst, d.p.RetryMax, tries)
}

// deferral is the backoff for a recipient's side that asked to wait.
func (d *Dispatcher) deferral(tries int) time.Duration {
	return jitterDelay(d.p.DeferFirst, d.p.DeferMax, tries)
}

func jitterDelay(first, most time.Duration, tries int) time.Duration {
	ceiling := most
	if tries < 16 {
		ceiling = min(first<<max(tries, 1), ceiling)
	}
	if ceiling <= first {
		return ceiling
	}
	return first + rand.N(ceiling-first)
}

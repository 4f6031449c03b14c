package invite

import (
	"cmp"
	"time"
)

// Failure is the most telling failure of a message that was reported, and when
// the last one happened. Its members are comparable.
type Failure struct {
	Status   DeliveryStatus
	Reason   Reason
	Code     string
	Provider string
	At       time.Time
}

// join adds another report of a failure: the more telling of the two stays, the
// later time counts.
func (f Failure) join(other Failure) Failure {
	switch {
	case f.Status == "":
		return other
	case other.Status == "":
		return f
	}
	if tells(other.Status, other.Reason, other.Code, other.Provider, f.Status, f.Reason, f.Code, f.Provider) {
		f.Status, f.Reason, f.Code, f.Provider = other.Status, other.Reason, other.Code, other.Provider
	}
	if other.At.After(f.At) {
		f.At = other.At
	}
	return f
}

// tells reports whether the first of two facts of one rank is more specific:
// by its reason, then by having a code. Facts that are alike in both are
// ordered by their text, so that the result is always the same.
func tells(s1 DeliveryStatus, r1 Reason, code1, provider1 string, s2 DeliveryStatus, r2 Reason, code2, provider2 string) bool {
	return cmp.Or(
		cmp.Compare(r1.rank(), r2.rank()), cmp.Compare(r1, r2), cmp.Compare(code1, code2),
		cmp.Compare(s1, s2), cmp.Compare(provider1, provider2),
	) > 0
}

func foldDelivery(s State, e Event, status DeliveryStatus) (State, []Effect) {
	if status == Queued {
		if _, known := s.delivery(e.DeliveryID); known != nil {
			return s, nil
		}
		s.Deliveries = append(append([]DeliveryState(nil), s.Deliveries...), DeliveryState{
			ID: e.DeliveryID, Kind: e.Data.Kind, Status: Queued, Channel: e.Data.Channel,
		})
		return s, nil
	}
	s, d := s.delivery(e.DeliveryID)
	if d == nil {
		return s, nil
	}
	before := *d
	*d = d.hear(status, e)
	if d.Status == before.Status && d.Reason == before.Reason {
		return s, nil
	}
	var effects []Effect
	if _, blocks := BlockOf(d.Status, d.Reason); blocks {
		effects = append(effects, EffectBlock)
	}
	effects = append(effects, messageEffects(before, *d)...)
	// A reminder that does not get through takes nothing from the message before.
	if s.last().ID != e.DeliveryID {
		return s, effects
	}
	switch {
	case d.Status.DidNotArrive() && before.Status.DidNotArrive():
		// Only its cause is known better now.
	case d.Status.DidNotArrive() && s.Status.Open() && s.Progress == NotOpened && s.Fallback.Open():
		// It has not failed while there is another way.
		s.Fallback = s.Fallback.failed(e.At)
	case d.Status.DidNotArrive() && s.Status.Open() && s.Progress == NotOpened:
		s.Status = Failed
		effects = append(effects, EffectPublishDeliveryFailed)
	case d.Status.arrived() && s.Status == Failed && s.RevokedAt.IsZero():
		// The failure was never true: a late receipt says that it arrived.
		s.Status = Active
	case d.Status.arrived():
		s.Fallback = s.Fallback.arrived()
	}
	return s, effects
}

// messageEffects are the public events of a message's own course. A passcode is
// no message that carries the invite.
func messageEffects(before, after DeliveryState) []Effect {
	if after.Kind == KindPasscode || before.Status == after.Status {
		return nil
	}
	switch after.Status {
	case Accepted, Sent:
		// A report of "sent" after the acceptance tells the product nothing more.
		known := before.Status == Accepted || before.Status == Sent || before.Status == Deferred
		return effectIf(!known, EffectPublishSent)
	case Delivered:
		return []Effect{EffectPublishDelivered}
	case Deferred:
		return []Effect{EffectPublishDeferred}
	case Complained:
		return []Effect{EffectPublishComplained}
	}
	return nil
}

// hear returns what a message's standing is once a fact is added. Facts of
// different ranks are decided by rank. A failure and a delivery that both
// happened are ordered by the provider's own clock; of several failures the
// more telling stands, whenever each happened. So the result does not depend on
// the order in which facts come, nor on copies.
func (d DeliveryState) hear(status DeliveryStatus, e Event) DeliveryState {
	switch {
	case status.DidNotArrive():
		d = d.remember()
		d.Failure = d.Failure.join(Failure{status, e.Data.Reason, e.Data.ProviderCode, e.Data.Provider, e.At})
		return d.settle()
	case status == Delivered:
		d = d.remember()
		provider := d.Provider
		if e.At.After(d.DeliveredAt) || e.At.Equal(d.DeliveredAt) && e.Data.Provider > d.Provider {
			provider = cmp.Or(e.Data.Provider, provider)
			d.DeliveredAt = e.At
		}
		if d = d.settle(); d.Status == Delivered {
			d.Provider = provider
		}
		return d
	case status.rank() > d.Status.rank():
		d = d.remember()
		if status == Complained {
			d.EndedAt = e.At
		}
		return d.take(status, e)
	case status != d.Status:
		return d
	}
	if status == Complained && e.At.After(d.EndedAt) {
		d.EndedAt = e.At
	}
	if tells("", e.Data.Reason, e.Data.ProviderCode, e.Data.Provider, "", d.Reason, d.ProviderCode, d.Provider) {
		return d.take(status, e)
	}
	return d
}

// take makes a fact the one that stands.
func (d DeliveryState) take(status DeliveryStatus, e Event) DeliveryState {
	d.Status, d.Reason, d.ProviderCode = status, e.Data.Reason, e.Data.ProviderCode
	if e.Data.Provider != "" {
		d.Provider = e.Data.Provider
	}
	return d
}

// remember fills the kept failure and delivery from the status, for a message
// recorded before these were kept.
func (d DeliveryState) remember() DeliveryState {
	switch {
	case d.Status.DidNotArrive():
		d.Failure = d.Failure.join(Failure{d.Status, d.Reason, d.ProviderCode, d.Provider, d.EndedAt})
	case d.Status == Delivered && d.DeliveredAt.IsZero():
		d.DeliveredAt = d.EndedAt
	}
	return d
}

// settle decides between a failure and a delivery.
func (d DeliveryState) settle() DeliveryState {
	if d.Status.rank() >= Complained.rank() {
		return d // only a message that arrived is complained of
	}
	if d.Failure.Status != "" && (d.Failure.At.After(d.DeliveredAt) || d.DeliveredAt.IsZero()) {
		d.Status, d.Reason, d.ProviderCode, d.EndedAt = d.Failure.Status, d.Failure.Reason, d.Failure.Code, d.Failure.At
		if d.Failure.Provider != "" {
			d.Provider = d.Failure.Provider
		}
		return d
	}
	d.Status, d.Reason, d.ProviderCode, d.EndedAt = Delivered, "", "", d.DeliveredAt
	return d
}

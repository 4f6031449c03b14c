package sandbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Faults are what goes wrong between the stand-ins and their callers. They
// live in the process that serves the listener, not in the database.
type Faults struct {
	Pipedream []Fault `json:"pipedream,omitempty"`
	SendGrid  []Fault `json:"sendgrid,omitempty"`
	Twilio    []Fault `json:"twilio,omitempty"`
	// Callbacks are the faults of callbacks, by vendor. They are applied by
	// the process that runs Run.
	Callbacks map[string]CallbackFault `json:"callbacks,omitempty"`
}

// Fault is one way a request goes wrong. The first that matches is used.
type Fault struct {
	// Ops limits it to these calls: oauth mint validate apps accounts
	// oauth_apps; send scopes suppressions; send list get update delete
	// account. Empty: all.
	Ops []string `json:"ops,omitempty"`
	// Share is the part of the matching requests it meets, 0 meaning all.
	Share float64 `json:"share,omitempty"`
	// Times is how many requests it meets before it is over, 0 meaning no end.
	Times int `json:"times,omitempty"`

	// LatencyMS passes before the request is looked at.
	LatencyMS int `json:"latency_ms,omitempty"`
	// AnswerMS passes after it was processed, before the answer.
	AnswerMS int `json:"answer_ms,omitempty"`
	// Status, when set, is the answer. The request is not processed, unless
	// Taken is set: then it is, and the answer lies.
	Status int  `json:"status,omitempty"`
	Taken  bool `json:"taken,omitempty"`
	// RetryAfterS fills a 429's headers, as far as the vendor has any.
	RetryAfterS int `json:"retry_after_s,omitempty"`
	// Cut breaks the connection: "blackout" before reading anything,
	// "before_taking" after reading the request, "after_taking" once it was
	// processed and its answer is ready.
	Cut string `json:"cut,omitempty"`
}

// CallbackFault is how a vendor's callbacks misbehave.
type CallbackFault struct {
	Copies  int  `json:"copies,omitempty"`  // posted so many times more
	LateMS  int  `json:"late_ms,omitempty"` // posted later
	Shuffle bool `json:"shuffle,omitempty"` // posted out of order; with LateMS, at a random time within it
	Drop    bool `json:"drop,omitempty"`    // never posted
}

// The places a connection can break.
const (
	CutBlackout     = "blackout"
	CutBeforeTaking = "before_taking"
	CutAfterTaking  = "after_taking"
)

// SetFaults replaces all faults of this process; the zero Faults heals it.
func (s *Sandbox) SetFaults(f Faults) error { return s.faults.set(f) }

// Faults returns the remaining ones: Times counts down.
func (s *Sandbox) Faults() Faults { return s.faults.get() }

type faultBoard struct {
	mu sync.Mutex
	f  Faults
}

func (b *faultBoard) set(f Faults) error {
	for _, list := range [][]Fault{f.Pipedream, f.SendGrid, f.Twilio} {
		for _, x := range list {
			if err := x.check(); err != nil {
				return err
			}
		}
	}
	for vendor := range f.Callbacks {
		if !slices.Contains([]string{pipedream, sendgrid, twilio}, vendor) {
			return fmt.Errorf("callbacks: no vendor %q", vendor)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.f = f.clone()
	return nil
}

func (f Fault) check() error {
	switch {
	case !slices.Contains([]string{"", CutBlackout, CutBeforeTaking, CutAfterTaking}, f.Cut):
		return fmt.Errorf("cut: want %s, %s or %s", CutBlackout, CutBeforeTaking, CutAfterTaking)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return errors.New("status: want 200 to 599")
	case f.Share < 0 || f.Share > 1:
		return errors.New("share: want 0 to 1")
	case f.Times < 0 || f.LatencyMS < 0 || f.AnswerMS < 0 || f.RetryAfterS < 0:
		return errors.New("times, latency_ms, answer_ms, retry_after_s: want 0 or more")
	}
	return nil
}

func (f Faults) clone() Faults {
	f.Pipedream, f.SendGrid, f.Twilio = slices.Clone(f.Pipedream), slices.Clone(f.SendGrid), slices.Clone(f.Twilio)
	callbacks := make(map[string]CallbackFault, len(f.Callbacks))
	for k, v := range f.Callbacks {
		callbacks[k] = v
	}
	f.Callbacks = callbacks
	return f
}

func (b *faultBoard) get() Faults {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.f.clone()
}

// pick takes the first fault that meets this request, counting it down.
func (b *faultBoard) pick(vendor, op string) (Fault, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, ok := map[string]*[]Fault{pipedream: &b.f.Pipedream, sendgrid: &b.f.SendGrid, twilio: &b.f.Twilio}[vendor]
	if !ok {
		return Fault{}, false
	}
	for i, f := range *list {
		if len(f.Ops) > 0 && !slices.Contains(f.Ops, op) || f.Share > 0 && rand.Float64() >= f.Share {
			continue
		}
		if f.Times == 1 {
			*list = slices.Delete(slices.Clone(*list), i, i+1)
		} else if f.Times > 1 {
			(*list)[i].Times--
		}
		return f, true
	}
	return Fault{}, false
}

func (b *faultBoard) callbacks(vendor string) CallbackFault {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.f.Callbacks[vendor]
}

// callbackDue returns when a callback made now is posted, nil for never.
func (b *faultBoard) callbackDue(vendor string, now time.Time) *time.Time {
	f := b.callbacks(vendor)
	if f.Drop {
		return nil
	}
	late := time.Duration(f.LateMS) * time.Millisecond
	if f.Shuffle && late > 0 {
		late = time.Duration(rand.Int64N(int64(late)))
	}
	t := now.Add(late)
	return &t
}

// faulty puts the faults of a vendor before its handler.
func (s *Sandbox) faulty(vendor string, op func(*http.Request) string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, hit := s.faults.pick(vendor, op(r))
		if !hit {
			f, hit = s.accountFaultAt(r, vendor, op(r))
		}
		if !hit {
			next(w, r)
			return
		}
		if f.Cut == CutBlackout {
			hangUp(w)
		}
		body, err := readBody(w, r, maxMail)
		if err != nil {
			hangUp(w)
		}
		r.Body = body
		pause(r.Context(), f.LatencyMS)
		switch {
		case f.Cut == CutBeforeTaking:
			hangUp(w)
		case f.Cut == CutAfterTaking, f.Taken && f.Status != 0:
			// The vendor goes on although its caller may have hung up.
			next(&deafWriter{header: http.Header{}}, r.WithContext(context.WithoutCancel(r.Context())))
			pause(r.Context(), f.AnswerMS)
			if f.Cut == CutAfterTaking {
				hangUp(w)
			}
			s.answerFault(w, vendor, f)
		case f.Status != 0:
			s.answerFault(w, vendor, f)
		default:
			next(&slowWriter{ResponseWriter: w, before: func() { pause(r.Context(), f.AnswerMS) }}, r)
		}
	})
}

func (s *Sandbox) answerFault(w http.ResponseWriter, vendor string, f Fault) {
	after := max(f.RetryAfterS, 1)
	switch vendor {
	case pipedream:
		if f.Status == http.StatusTooManyRequests {
			s.pipedreamThrottled(w, 100, time.Duration(after)*time.Second)
			return
		}
		pipedreamError(w, f.Status, "the stand-in was told to answer so")
	case sendgrid:
		if f.Status == http.StatusTooManyRequests {
			s.sendgridThrottled(w, time.Duration(after)*time.Second)
			return
		}
		sendgridRefuse(w, f.Status, sendgridFault{Message: "the stand-in was told to answer so"})
	case vonage:
		writeJSON(w, f.Status, jsonType, map[string]string{"title": http.StatusText(f.Status), "detail": "the stand-in was told to answer so"})
	default:
		code, known := map[int]int{401: 20003, 403: 20003, 404: 20404, 429: 20429, 500: 20500, 503: 20503}[f.Status]
		if !known {
			code = 20001
		}
		twilioRefuse(w, f.Status, code, "the stand-in was told to answer so")
	}
}

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func pause(ctx context.Context, ms int) {
	if ms <= 0 {
		return
	}
	t := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// deafWriter discards an answer.
type deafWriter struct{ header http.Header }

func (d *deafWriter) Header() http.Header         { return d.header }
func (d *deafWriter) Write(b []byte) (int, error) { return len(b), nil }
func (d *deafWriter) WriteHeader(int)             {}

// slowWriter waits once before the answer starts.
type slowWriter struct {
	http.ResponseWriter
	before func()
	begun  bool
}

func (w *slowWriter) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		w.before()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *slowWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

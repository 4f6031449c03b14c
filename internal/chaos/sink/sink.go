package sink

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is how part of the sends go wrong. Shares are of all sends and are
// drawn one after the other.
type Fault struct {
	CutBefore   float64       `json:"cut_before,omitempty"` // connection closed, nothing taken
	CutAfter    float64       `json:"cut_after,omitempty"`  // taken, connection closed before the answer
	Lie503      float64       `json:"lie_503,omitempty"`    // taken, answered 503
	Refuse503   float64       `json:"refuse_503,omitempty"` // not taken, answered 503
	Throttle    float64       `json:"throttle,omitempty"`   // not taken, answered 429
	RetryAfterS int           `json:"retry_after_s,omitempty"`
	Status      int           `json:"status,omitempty"`      // every send is answered so and not taken
	Code        int           `json:"code,omitempty"`        // Twilio's error code with it
	Field       string        `json:"field,omitempty"`       // SendGrid's fault field with it
	Latency     time.Duration `json:"latency,omitempty"`     // before the answer, after taking
	Jitter      time.Duration `json:"jitter,omitempty"`      // up to so much more
	Times       int           `json:"times,omitempty"`       // after so many sends the fault is over; 0: never
	ListLag     time.Duration `json:"list_lag,omitempty"`    // after so long a text shows in Twilio's list
	Mint        int           `json:"mint,omitempty"`        // minting is answered with this status
	ListStatus  int           `json:"list_status,omitempty"` // Twilio's list is answered with this status
}

// Message is one message that was taken.
type Message struct {
	Channel   string            `json:"channel"`
	Key       string            `json:"key"`     // the link in it, which is a delivery's own
	Attempt   string            `json:"attempt"` // as its custom argument or callback path says
	Invite    string            `json:"invite"`
	To        string            `json:"to"`
	Body      string            `json:"body"`
	Subject   string            `json:"subject"`
	Headers   map[string]string `json:"headers"` // of a mail, as SendGrid is asked to set them
	ID        string            `json:"id"`
	At        time.Time         `json:"at"`
	Callback  string            `json:"callback"`
	ValidityS string            `json:"validity_s"`
}

// Sink is the vendors. The zero value is not usable; see New.
type Sink struct {
	mu      sync.Mutex
	fault   Fault
	taken   []Message
	byTo    map[string][]int
	calls   int // sends that reached it, taken or not
	headers []http.Header
	mints   int
	onTaken func(Message)
	handler http.Handler
}

// New makes a Sink that works.
func New() *Sink {
	s := &Sink{byTo: make(map[string][]int)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sendgrid/v3/mail/send", s.mail)
	mux.HandleFunc("POST /twilio/2010-04-01/Accounts/{sid}/Messages.json", s.text)
	mux.HandleFunc("GET /twilio/2010-04-01/Accounts/{sid}/Messages.json", s.list)
	mux.HandleFunc("POST /pipedream/v1/oauth/token", s.oauth)
	mux.HandleFunc("POST /pipedream/v1/connect/{project}/tokens", s.mint)
	mux.HandleFunc("GET /pipedream/v1/connect/apps/{slug}", s.app)
	mux.HandleFunc("GET /pipedream/v1/connect/{project}/{of}", s.accounts)
	mux.HandleFunc("GET /ledger", s.ledger)
	mux.HandleFunc("PUT /fault", s.putFault)
	s.handler = mux
	return s
}

// ServeHTTP implements http.Handler.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// SetFault replaces what goes wrong; the zero Fault heals.
func (s *Sink) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// OnTaken is called for each message that was taken, before the answer.
func (s *Sink) OnTaken(f func(Message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onTaken = f
}

// Taken returns the messages taken so far.
func (s *Sink) Taken() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.taken...)
}

// Calls is how many sends reached it, taken or not; Mints how many tokens it made.
func (s *Sink) Calls() int { s.mu.Lock(); defer s.mu.Unlock(); return s.calls }

// Mints is how many tokens were made.
func (s *Sink) Mints() int { s.mu.Lock(); defer s.mu.Unlock(); return s.mints }

// Headers are those of the last sends, at most 64.
func (s *Sink) Headers() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]http.Header(nil), s.headers...)
}

// Count is how often each key was taken.
func (s *Sink) Count() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]int, len(s.taken))
	for _, m := range s.taken {
		out[m.Key]++
	}
	return out
}

func (s *Sink) ledger(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"calls": s.calls, "taken": s.taken})
}

func (s *Sink) putFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.SetFault(f)
	w.WriteHeader(http.StatusNoContent)
}

// draw counts a call and picks its fate.
func (s *Sink) draw(h http.Header) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.headers = append(s.headers, h.Clone()); len(s.headers) > 64 {
		s.headers = s.headers[1:]
	}
	f := s.fault
	if f.Times > 0 {
		if s.fault.Times--; s.fault.Times == 0 {
			s.fault = Fault{}
		}
	}
	return f
}

// link finds the URL in a text; every delivery has its own.
var link = regexp.MustCompile(`https?://[^\s"<>]+`)

func (s *Sink) take(m *Message) {
	m.At = time.Now()
	m.Key = strings.TrimRight(link.FindString(m.Body), ".,;)")
	s.mu.Lock()
	s.taken = append(s.taken, *m)
	s.byTo[m.To] = append(s.byTo[m.To], len(s.taken)-1)
	f := s.onTaken
	s.mu.Unlock()
	if f != nil {
		f(*m)
	}
}

// outcome runs one send: refuse answers without taking, accept takes first.
func (s *Sink) outcome(f Fault, m *Message, refuse func(status int), accept func()) {
	at := rand.Float64()
	below := func(share float64) bool {
		if at < share {
			return true
		}
		at -= share
		return false
	}
	switch {
	case f.Status != 0:
		refuse(f.Status)
	case below(f.CutBefore):
		panic(http.ErrAbortHandler)
	case below(f.Refuse503):
		refuse(http.StatusServiceUnavailable)
	case below(f.Throttle):
		refuse(http.StatusTooManyRequests)
	case below(f.CutAfter):
		s.take(m)
		f.wait()
		panic(http.ErrAbortHandler)
	case below(f.Lie503):
		s.take(m)
		f.wait()
		refuse(http.StatusServiceUnavailable)
	default:
		s.take(m)
		f.wait()
		accept()
	}
}

func (f Fault) wait() {
	d := f.Latency
	if f.Jitter > 0 {
		d += rand.N(f.Jitter)
	}
	if d > 0 {
		time.Sleep(d) // a vendor takes its time whether the caller is still there or not
	}
}

func (s *Sink) mail(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Personalizations []struct {
			To []struct {
				Email string `json:"email"`
			} `json:"to"`
			Args map[string]string `json:"custom_args"`
		} `json:"personalizations"`
		Subject string            `json:"subject"`
		Headers map[string]string `json:"headers"`
		Content []struct {
			Value string `json:"value"`
		} `json:"content"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return // the caller went away in the middle: nothing was taken
	}
	f := s.draw(r.Header)
	if len(body.Personalizations) != 1 || len(body.Personalizations[0].To) != 1 || len(body.Content) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p := body.Personalizations[0]
	m := Message{
		Channel: "email", Attempt: p.Args["cl_attempt"], Invite: p.Args["cl_invite"], To: p.To[0].Email,
		Body: body.Content[0].Value, Subject: body.Subject, Headers: body.Headers, ID: fmt.Sprintf("sg%016x", rand.Uint64()),
	}
	s.outcome(f, &m, func(status int) {
		w.Header().Set("Content-Type", "application/json")
		if f.RetryAfterS > 0 {
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Duration(f.RetryAfterS)*time.Second).Unix(), 10))
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]any{{"message": "as it was told", "field": f.Field}}})
	}, func() {
		w.Header().Set("X-Message-Id", m.ID)
		w.WriteHeader(http.StatusAccepted)
	})
}

func (s *Sink) text(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f := s.draw(r.Header)
	m := Message{
		Channel: "sms", To: form.Get("To"), Body: form.Get("Body"), ID: fmt.Sprintf("SM%016x%016x", rand.Uint64(), rand.Uint64()),
		Callback: form.Get("StatusCallback"), ValidityS: form.Get("ValidityPeriod"),
	}
	if parts := strings.Split(m.Callback, "/"); len(parts) > 2 {
		m.Attempt, m.Invite = parts[len(parts)-1], parts[len(parts)-2]
	}
	s.outcome(f, &m, func(status int) {
		code := f.Code
		if code == 0 {
			code = map[int]int{http.StatusTooManyRequests: 20429, http.StatusUnauthorized: 20003}[status]
		}
		writeJSON(w, status, map[string]any{"code": code, "message": "as it was told", "status": status})
	}, func() {
		writeJSON(w, http.StatusCreated, m.twilio())
	})
}

func (m *Message) twilio() map[string]any {
	return map[string]any{
		"sid": m.ID, "status": "queued", "to": m.To, "body": m.Body, "direction": "outbound-api",
		"date_created": m.At.UTC().Format(time.RFC1123Z), "num_segments": "1",
	}
}

func (s *Sink) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	status, lag := s.fault.ListStatus, s.fault.ListLag
	found := []map[string]any{}
	indexes := s.byTo[r.URL.Query().Get("To")]
	for i := len(indexes) - 1; i >= 0; i-- { // newest first
		if m := &s.taken[indexes[i]]; time.Since(m.At) >= lag {
			found = append(found, m.twilio())
		}
	}
	s.mu.Unlock()
	if status != 0 {
		writeJSON(w, status, map[string]any{"code": 20500, "status": status})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"messages": found, "next_page_uri": nil})
}

func (s *Sink) oauth(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"access_token": "sink-access", "token_type": "Bearer", "expires_in": 3600})
}

func (s *Sink) app(w http.ResponseWriter, r *http.Request) {
	slug := r.PathValue("slug")
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{
		"id": "app_" + slug, "name_slug": slug, "name": strings.ToUpper(slug[:1]) + slug[1:], "auth_type": "oauth",
		"img_src": "https://assets.pipedream.net/" + slug + ".png",
	}})
}

// accounts is a page of accounts: no account is ever connected here.
func (s *Sink) accounts(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("of") != "accounts" {
		http.NotFound(w, r)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": []any{}, "page_info": map[string]any{"total_count": 0, "count": 0}})
}

func (s *Sink) mint(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ExpiresIn int `json:"expires_in"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	status := s.fault.Mint
	if status == 0 {
		s.mints++
	}
	s.mu.Unlock()
	if status != 0 {
		writeJSON(w, status, map[string]any{"error": "as it was told"})
		return
	}
	if body.ExpiresIn == 0 {
		body.ExpiresIn = 14400
	}
	token := fmt.Sprintf("ctok_%016x%016x", rand.Uint64(), rand.Uint64())
	writeJSON(w, http.StatusOK, map[string]any{
		"token": token, "expires_at": time.Now().Add(time.Duration(body.ExpiresIn) * time.Second).UTC().Format(time.RFC3339Nano),
		"connect_link_url": "https://pipedream.com/_static/connect.html?token=" + token + "&connectLink=true",
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

package tracktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

// Pipedream is a stand-in on a real socket: it mints, and has the accounts
// that a test gives it.
type Pipedream struct {
	url string

	mu       sync.Mutex
	accounts []Account
	mints    int
	minted   []string // for whom
	lists    int
	status   int // of every answer but the access token's; 0 means as usual
	retry    string
	onMint   func()
	linkBase string
	raw      string // the answer about any account; empty: its own
}

// Account is an account at the stand-in.
type Account struct {
	ID, Name, User, App  string
	CreatedAt, UpdatedAt time.Time
	// Unhealthy accounts were connected and no longer work; Dead ones, for good.
	Unhealthy, Dead bool
	Error           string
}

func newPipedream(t testing.TB) *Pipedream {
	p := &Pipedream{linkBase: "https://pipedream.com/_static/connect.html"}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/oauth/token", func(w http.ResponseWriter, _ *http.Request) {
		write(w, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 3600})
	})
	mux.HandleFunc("POST /v1/connect/{project}/tokens", p.moody(p.mint))
	mux.HandleFunc("GET /v1/connect/{project}/accounts", p.moody(p.list))
	mux.HandleFunc("GET /v1/connect/{project}/accounts/{id}", p.moody(p.get))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// Client is a real client of the stand-in.
func (p *Pipedream) Client() *pipedream.Client {
	return pipedream.New(pipedream.Params{
		BaseURL: p.url, ClientID: "id", ClientSecret: secret.New("secret"), ProjectID: "proj_test", Environment: "production",
		FirstDelay: time.Millisecond, BreakAfter: 1000,
	})
}

// Connect adds accounts, as if a person had finished.
func (p *Pipedream) Connect(accounts ...Account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range accounts {
		if a.CreatedAt.IsZero() {
			a.CreatedAt = time.Now()
		}
		if a.UpdatedAt.IsZero() {
			a.UpdatedAt = a.CreatedAt
		}
		p.accounts = append(p.accounts, a)
	}
}

// Change changes an account of the stand-in; its time of change is the test's to set.
func (p *Pipedream) Change(id string, change func(a *Account)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.accounts {
		if p.accounts[i].ID == id {
			change(&p.accounts[i])
		}
	}
}

// Delete deletes an account.
func (p *Pipedream) Delete(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accounts = slices.DeleteFunc(p.accounts, func(a Account) bool { return a.ID == id })
}

// Answer makes everything but access tokens fail with a status; 0 undoes it.
func (p *Pipedream) Answer(status int, retryAfter string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.retry = status, retryAfter
}

// AnswerAccount makes the stand-in answer with raw whenever it is asked about one
// account.
func (p *Pipedream) AnswerAccount(raw string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.raw = raw
}

// OnMint is called within every mint, before it is answered.
func (p *Pipedream) OnMint(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onMint = fn
}

// LinkTo makes minted links lead to a page of the test's.
func (p *Pipedream) LinkTo(base string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.linkBase = base
}

// Mints is how many tokens were minted.
func (p *Pipedream) Mints() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mints
}

// MintedFor returns the external user of each mint.
func (p *Pipedream) MintedFor() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.minted)
}

// Lists is how often accounts were listed.
func (p *Pipedream) Lists() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lists
}

func (p *Pipedream) moody(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		status, retry := p.status, p.retry
		p.mu.Unlock()
		if status != 0 {
			if retry != "" {
				w.Header().Set("Retry-After", retry)
			}
			http.Error(w, `{"error":"not now"}`, status)
			return
		}
		next(w, r)
	}
}

func (p *Pipedream) mint(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ExternalUserID string `json:"external_user_id"`
		ExpiresIn      int    `json:"expires_in"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	p.mu.Lock()
	p.mints++
	p.minted = append(p.minted, in.ExternalUserID)
	n, hook, base := p.mints, p.onMint, p.linkBase
	p.mu.Unlock()
	if hook != nil {
		hook()
	}
	token := fmt.Sprintf("ctok_%032x", n)
	write(w, map[string]any{
		"token": token, "expires_at": time.Now().Add(time.Duration(in.ExpiresIn) * time.Second).Format(time.RFC3339Nano),
		"connect_link_url": base + "?token=" + token + "&connectLink=true",
	})
}

func (p *Pipedream) list(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lists++
	data := []any{}
	q := r.URL.Query()
	for _, a := range p.accounts {
		if a.User == q.Get("external_user_id") && (q.Get("app") == "" || a.App == q.Get("app")) {
			data = append(data, a.body())
		}
	}
	write(w, map[string]any{"data": data, "page_info": map[string]any{"total_count": len(data), "count": len(data)}})
}

func (p *Pipedream) get(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.raw != "" {
		_, _ = w.Write([]byte(p.raw))
		return
	}
	for _, a := range p.accounts {
		if a.ID == r.PathValue("id") {
			write(w, a.body())
			return
		}
	}
	http.Error(w, `{"error":"record not found"}`, http.StatusNotFound)
}

func (a Account) body() map[string]any {
	var dead, failure any
	if a.Dead {
		dead = true
	}
	if a.Error != "" {
		failure = a.Error
	}
	return map[string]any{
		"id": a.ID, "name": a.Name, "external_id": a.User, "healthy": !a.Unhealthy && !a.Dead, "dead": dead, "error": failure,
		"app":        map[string]any{"id": "oa_1", "name_slug": a.App, "name": strings.ToUpper(a.App)},
		"created_at": a.CreatedAt.UTC().Format(time.RFC3339Nano), "updated_at": a.UpdatedAt.UTC().Format(time.RFC3339Nano),
	}
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

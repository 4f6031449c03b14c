package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Ledger is an exact count of what the stand-ins took: a message counts from
// its commit, whether or not its answer arrived, until Params.Keep is over.
type Ledger struct {
	Messages int `json:"messages"`
	// Unmarked are messages that carried no attempt id.
	Unmarked int            `json:"unmarked"`
	Attempts map[string]int `json:"attempts"`
	Invites  map[string]int `json:"invites"`
}

// Ledger counts everything taken so far.
func (s *Sandbox) Ledger(ctx context.Context) (Ledger, error) {
	l := Ledger{Attempts: map[string]int{}, Invites: map[string]int{}}
	rows, err := s.db.Query(ctx, `SELECT attempt_id, invite_id, count(*)::int FROM sandbox.messages GROUP BY 1, 2`)
	if err != nil {
		return l, fmt.Errorf("read the ledger: %w", err)
	}
	var attempt, invite string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&attempt, &invite, &n}, func() error {
		l.Messages += n
		if attempt == "" {
			l.Unmarked += n
		} else {
			l.Attempts[attempt] += n
		}
		if invite != "" {
			l.Invites[invite] += n
		}
		return nil
	}); err != nil {
		return l, fmt.Errorf("read the ledger: %w", err)
	}
	return l, nil
}

// requireAdmin refuses requests without the token: other users of the machine reach
// the listener too.
func (s *Sandbox) requireAdmin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || !sameSecret(token, s.admin) {
			adminFailed(w, http.StatusUnauthorized, errors.New("no token of the sandbox's"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mountAdmin adds the controls of the stand-ins for test suites.
func (s *Sandbox) mountAdmin(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/ledger", func(w http.ResponseWriter, r *http.Request) {
		l, err := s.Ledger(r.Context())
		if err != nil {
			adminFailed(w, http.StatusInternalServerError, err)
			return
		}
		writeJSON(w, http.StatusOK, jsonType, l)
	})
	mux.HandleFunc("GET /admin/faults", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, jsonType, s.Faults())
	})
	mux.HandleFunc("PUT /admin/faults", func(w http.ResponseWriter, r *http.Request) {
		var f Faults
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSmall))
		d.DisallowUnknownFields() // a misspelt fault would be a test that tests nothing
		err := d.Decode(&f)
		if err == nil {
			err = s.SetFaults(f)
		}
		if err != nil {
			adminFailed(w, http.StatusBadRequest, err)
			return
		}
		writeJSON(w, http.StatusOK, jsonType, s.Faults())
	})
	mux.HandleFunc("POST /admin/mint_scripts", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			ExternalUserID string     `json:"external_user_id"`
			Script         MintScript `json:"script"`
		}
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSmall)).Decode(&in)
		if err == nil {
			err = s.ScriptMint(r.Context(), in.ExternalUserID, in.Script)
		}
		if err != nil {
			adminFailed(w, http.StatusBadRequest, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /admin/messages", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		f := MessageFilter{To: q.Get("to"), Channel: q.Get("channel"), Before: q.Get("before"), Limit: intOr(q.Get("limit"), 0)}
		if id := q.Get("invite"); id != "" {
			f.InviteIDs = []string{id}
		}
		list, err := s.Messages(r.Context(), f)
		if err != nil {
			adminFailed(w, http.StatusInternalServerError, err)
			return
		}
		writeJSON(w, http.StatusOK, jsonType, map[string]any{"data": list})
	})
}

func adminFailed(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, jsonType, map[string]string{"error": err.Error()})
}

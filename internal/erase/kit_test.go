package erase_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

const sender = "MG00000000000000000000000000000000"

// world is the service beside a sandbox, in one database.
type world struct {
	*tracktest.Kit
	*erase.Service
	t        *testing.T
	sandbox  *sandbox.Sandbox
	registry *prometheus.Registry
	redactor provider.Redactor // nil: no credentials

	mu    sync.Mutex
	later [][]invite.ID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Kit: tracktest.New(t), t: t, registry: prometheus.NewRegistry()}
	var err error
	w.sandbox, err = sandbox.New(t.Context(), sandbox.Params{DB: w.Pool, Box: w.Box, PublicURL: "https://go.example.test/sandbox"})
	if err != nil {
		t.Fatal(err)
	}
	w.Service, err = erase.New(erase.Params{
		Publish: func(context.Context, pgx.Tx, ...ledger.Applied) error { return nil },
		DB:      w.Pool, Box: w.Box, Senders: func(invite.Place) []string { return []string{sender} }, Inbox: w.sandbox, Metrics: w.registry,
		Redactor: func(name string, _ invite.Place) (provider.Redactor, bool) {
			if name == "keeps-nothing" {
				return nil, true
			}
			return w.redactor, w.redactor != nil && name == "twilio"
		},
		Keep: func(string) time.Duration { return 90 * 24 * time.Hour },
		Later: func(_ context.Context, _ pgx.Tx, ids []invite.ID) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.later = append(w.later, ids)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func key() access.Principal {
	return access.Principal{Kind: access.KindKey, ID: invite.New[invite.KeyID]().String(), Place: invite.Place{Project: "default"}}
}

func (w *world) erase(user string) erase.Erased {
	w.t.Helper()
	done, err := w.Erase(w.t.Context(), key(), user, "Request 4711")
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// again runs the jobs that erasing has left.
func (w *world) again() {
	w.t.Helper()
	for _, ids := range w.later {
		if err := w.Again(w.t.Context(), ids); err != nil {
			w.t.Fatal(err)
		}
	}
}

// seal seals words for a place, as the product does.
func (w *world) sealed(words, column string, id [16]byte) []byte {
	w.t.Helper()
	b, err := w.Box.Seal([]byte(words), seal.AD{Column: column, ID: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// holding names the columns of every table in which a word stands: plainly, or
// in what the keys open under any id of its row.
func (w *world) holding(word string) map[string]bool {
	w.t.Helper()
	rows, _ := w.Pool.Query(w.t.Context(), `SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
		JOIN information_schema.tables USING (table_schema, table_name)
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, ordinal_position`)
	type column struct{ Schema, Table, Name, Type string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		w.t.Fatal(err)
	}
	tables := map[string][]column{}
	for _, c := range columns {
		tables[c.Schema+"."+c.Table] = append(tables[c.Schema+"."+c.Table], c)
	}
	found := map[string]bool{}
	for table, columns := range tables {
		rows, _ := w.Pool.Query(w.t.Context(), fmt.Sprintf(`SELECT x.*, x::text FROM %s x`, table))
		err := func() error {
			defer rows.Close()
			for rows.Next() {
				values, err := rows.Values()
				if err != nil {
					return err
				}
				text, _ := values[len(values)-1].(string)
				if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
					found[table] = true
				}
				for i, c := range columns {
					sealed, ok := values[i].([]byte)
					if !ok {
						continue
					}
					for _, v := range values {
						id, ok := v.([16]byte)
						if !ok {
							continue
						}
						for _, name := range []string{c.Table + "." + c.Name, c.Schema + "." + c.Table + "." + c.Name} {
							if plain, err := w.Box.Open(sealed, seal.AD{Column: name, ID: id}); err == nil && strings.Contains(strings.ToLower(string(plain)), strings.ToLower(word)) {
								found[name] = true
							}
						}
					}
				}
			}
			return rows.Err()
		}()
		if err != nil {
			w.t.Fatalf("%s: %v", table, err)
		}
	}
	return found
}

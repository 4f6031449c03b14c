// Connectlink-river-prototype is the yardstick of internal/bench: the same task on
// a general job queue, with as little else as possible. POST /v1/invites inserts
// an invite and a River job in one transaction; a worker calls the mail vendor
// and records the message id. It has no authentication, no connect links, no
// templates, no encryption and no idempotency.
//
// It is a module of its own, so that the service does not depend on it. Its
// settings come from the environment: DATABASE_URL, LISTEN, VENDOR_URL, ROLE
// (all, api or worker).
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	// maxWorkers is the number of calls in flight. It is above the 64 clients
	// that the benchmark has, and a quarter of what River's own benchmark uses
	// for jobs that do nothing.
	maxWorkers = 500
	// fetchCooldown is the value of River's own benchmark; the default of 100 ms
	// bounds the latency and, with maxWorkers, the throughput.
	fetchCooldown = 2 * time.Millisecond
	// maxConns is more than the 64 clients need to commit at the same time.
	maxConns = 80
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("ROLE")); err != nil {
		fmt.Fprintln(os.Stderr, "river prototype:", err)
		os.Exit(1)
	}
}

// sendArgs name the message that a job sends.
type sendArgs struct {
	InviteID int64  `json:"invite_id"`
	Email    string `json:"email"`
	Name     string `json:"name"`
	Inviter  string `json:"inviter"`
	Reason   string `json:"reason"`
}

func (sendArgs) Kind() string { return "send" }

// sender calls the vendor.
type sender struct {
	river.WorkerDefaults[sendArgs]
	client *http.Client
	url    string
}

// mail has the members of SendGrid's request.
type mail struct {
	Personalizations []personalization `json:"personalizations"`
	From             address           `json:"from"`
	Subject          string            `json:"subject"`
	Content          []content         `json:"content"`
}

type personalization struct {
	To []address `json:"to"`
}

type address struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}

type content struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Work sends the message. River stores the output with the job's final state, in
// the transaction of its batch completer.
func (s *sender) Work(ctx context.Context, job *river.Job[sendArgs]) error {
	a := job.Args
	body, err := json.Marshal(mail{
		Personalizations: []personalization{{To: []address{{a.Email, a.Name}}}},
		From:             address{"connect@acme.example", "Acme"}, Subject: a.Inviter + " invites you",
		Content: []content{{"text/plain", a.Reason}, {"text/html", "<p>" + a.Reason + "</p>"}},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the vendor answered %s", resp.Status)
	}
	return river.RecordOutput(ctx, resp.Header.Get("X-Message-Id"))
}

func run(ctx context.Context, role string) error {
	cfg, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	cfg.MaxConns = maxConns
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	if role == "migrate" {
		return migrate(ctx, pool)
	}
	client, err := newClient(pool, role)
	if err != nil {
		return err
	}
	if role != "api" {
		// The signal's context would cut jobs off; Stop lets them finish.
		if err := client.Start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		defer func() {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
			defer cancel()
			_ = client.Stop(stopping)
		}()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := pool.Ping(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	mux.Handle("POST /v1/invites", &creator{pool: pool, client: client})
	server := &http.Server{Addr: os.Getenv("LISTEN"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return server.Shutdown(stopping)
}

func migrate(ctx context.Context, pool *pgxpool.Pool) error {
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	_, err = pool.Exec(ctx, `CREATE TABLE invites (
		id bigserial PRIMARY KEY, external_user_id text NOT NULL, app text NOT NULL, channel text NOT NULL,
		recipient jsonb NOT NULL, inviter text NOT NULL, reason text NOT NULL, metadata jsonb,
		created_at timestamptz NOT NULL DEFAULT now())`)
	return err
}

func newClient(pool *pgxpool.Pool, role string) (*river.Client[pgx.Tx], error) {
	cfg := &river.Config{
		FetchCooldown: fetchCooldown,
		Logger:        slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if role != "api" {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = maxWorkers, maxWorkers
		cfg.Workers = river.NewWorkers()
		river.AddWorker(cfg.Workers, &sender{client: &http.Client{Transport: transport, Timeout: 5 * time.Second}, url: os.Getenv("VENDOR_URL") + "/v3/mail/send"})
		cfg.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}}
	}
	return river.NewClient(riverpgxv5.New(pool), cfg)
}

// creator answers creates.
type creator struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

// created is the body of a request.
type created struct {
	ExternalUserID string `json:"external_user_id"`
	App            string `json:"app"`
	Channel        string `json:"channel"`
	Recipient      struct {
		Email string `json:"email"`
		Name  string `json:"name"`
	} `json:"recipient"`
	Inviter struct {
		Name string `json:"name"`
	} `json:"inviter"`
	Reason   string          `json:"reason"`
	Metadata json.RawMessage `json:"metadata"`
}

func (c *creator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in created
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Recipient.Email == "" {
		http.Error(w, errors.Join(errors.New("the body is no invite"), err).Error(), http.StatusBadRequest)
		return
	}
	id, err := c.create(r.Context(), in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"id":%d,"status":"active"}`, id)
}

func (c *creator) create(ctx context.Context, in created) (id int64, err error) {
	err = pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `INSERT INTO invites (external_user_id, app, channel, recipient, inviter, reason, metadata)
			VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
			in.ExternalUserID, in.App, in.Channel, in.Recipient, in.Inviter.Name, in.Reason, in.Metadata).Scan(&id); err != nil {
			return err
		}
		_, err := c.client.InsertTx(ctx, tx, sendArgs{id, in.Recipient.Email, in.Recipient.Name, in.Inviter.Name, in.Reason}, nil)
		return err
	})
	return id, err
}

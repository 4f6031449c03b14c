package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/seal"
)

// rig is a durable Postgres, the programs and stub vendors on one machine.
type rig struct {
	options Options
	dir     string
	pg      *devpg.Server
	pgbench string
	vendors *stubVendors
	service *program
	river   *program
	key     string
	next    int // number of the next recipient

	connecting float64 // seconds in which pgbench opened its connections the last time
}

// module is the path of the module whose program is measured.
const module = "github.com/connectlink/connectlink"

// yardstick is the schema of the plain transaction: one row each like an
// invite, a delivery and an event, with the indexes such tables have.
const yardstick = `
CREATE SCHEMA yard;
CREATE TABLE yard.invites (id uuid PRIMARY KEY, project_id text NOT NULL, status text NOT NULL, channel text NOT NULL,
	external_user_id text NOT NULL, app_slug text NOT NULL, content bytea, expires_at timestamptz, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON yard.invites (project_id, id);
CREATE TABLE yard.deliveries (id uuid PRIMARY KEY, invite_id uuid NOT NULL REFERENCES yard.invites, status text NOT NULL, lane text NOT NULL,
	next_at timestamptz, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON yard.deliveries (lane, next_at) WHERE next_at IS NOT NULL;
CREATE TABLE yard.events (invite_id uuid NOT NULL REFERENCES yard.invites, seq integer NOT NULL, type text NOT NULL, data jsonb NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (invite_id, seq));`

const yardScript = `\set n random(1, 9000000000000000000)
BEGIN;
INSERT INTO yard.invites (id, project_id, status, channel, external_user_id, app_slug, content, expires_at) VALUES (lpad(to_hex(:n::bigint), 32, '0')::uuid, 'default', 'active', 'email', 'user-1', 'slack', decode(repeat('5a', 300), 'hex'), now() + interval '4 hours');
INSERT INTO yard.deliveries (id, invite_id, status, lane, next_at) VALUES (lpad(to_hex(:n::bigint), 32, '0')::uuid, lpad(to_hex(:n::bigint), 32, '0')::uuid, 'queued', 'default/email/live', now());
INSERT INTO yard.events (invite_id, seq, type, data) VALUES (lpad(to_hex(:n::bigint), 32, '0')::uuid, 1, 'created', '{"channel": "email", "has_link": true}');
COMMIT;
`

// settings are the server's own, beside PostgreSQL's defaults; fsync is on.
func settings() map[string]string {
	return map[string]string{"shared_buffers": "256MB", "max_wal_size": "4GB", "max_connections": "300", "track_wal_io_timing": "on"}
}

// newRig builds the programs and starts the server. Close it, also after an error.
func newRig(ctx context.Context, o Options) (*rig, error) {
	r := &rig{options: o}
	var err error
	if r.dir, err = os.MkdirTemp("", "connectlink-bench-"); err != nil {
		return r, err
	}
	// Postgres runs as another user when we are root.
	if err := os.Chmod(r.dir, 0o711); err != nil {
		return r, err
	}
	if r.vendors, err = startVendors(); err != nil {
		return r, err
	}
	if r.pg, err = devpg.Start(ctx, devpg.Params{Dir: filepath.Join(r.dir, "pg"), Settings: settings()}); err != nil {
		return r, err
	}
	found, err := devpg.Find(ctx, os.LookupEnv, "", 0)
	if err != nil {
		return r, err
	}
	r.pgbench = filepath.Join(found.Dir, "pgbench")
	if _, err := os.Stat(r.pgbench); err != nil {
		return r, fmt.Errorf("pgbench, which PostgreSQL's packages install beside the server, is missing: %w", err)
	}
	if err := r.exec(ctx, r.pg.URL(), yardstick); err != nil {
		return r, err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "yard.sql"), []byte(yardScript), 0o600); err != nil {
		return r, err
	}
	if r.service, err = r.newService(ctx, "service"); err != nil {
		return r, err
	}
	if o.NoRiver {
		return r, nil
	}
	r.river, err = r.newRiver(ctx)
	return r, err
}

func (r *rig) close() {
	if r.vendors != nil {
		r.vendors.close()
	}
	if r.pg != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = r.pg.Stop(ctx)
		_ = os.RemoveAll(r.pg.Home())
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}

// newDatabase makes a database on the server and returns its URL.
func (r *rig) newDatabase(ctx context.Context, name string) (string, error) {
	if err := r.exec(ctx, r.pg.URL(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", err
	}
	u, err := url.Parse(r.pg.URL())
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// newService builds the service and gives it a database and an environment in
// which it sends live messages to the stub vendors.
func (r *rig) newService(ctx context.Context, database string) (*program, error) {
	p := &program{
		name: "this service", bin: filepath.Join(r.dir, "connectlink"), open: `SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL`,
		args: func(role string) []string { return []string{"serve", "--role=" + role} },
		vars: func(_, addr string) []string { return []string{"CONNECTLINK_LISTEN=" + addr} },
	}
	build := append([]string{"build", "-o", p.bin}, r.options.BuildFlags...)
	if _, err := capture(exec.CommandContext(ctx, "go", append(build, module+"/cmd/connectlink")...)); err != nil {
		return nil, err
	}
	keyset, err := seal.NewKeyset()
	if err != nil {
		return nil, err
	}
	if p.database, err = r.newDatabase(ctx, database); err != nil {
		return nil, err
	}
	p.env = append(os.Environ(),
		"CONNECTLINK_DATABASE_URL="+p.database, "CONNECTLINK_KEYSET="+keyset.Encode().Reveal(), "CONNECTLINK_BRAND_NAME=Acme", "CONNECTLINK_DRAIN_FOR=0s",
		"CONNECTLINK_SANDBOX=false", "CONNECTLINK_ALLOW_NO_CALLBACKS=true", "CONNECTLINK_PUBLIC_URL=http://127.0.0.1:1",
		"PIPEDREAM_API_URL="+r.vendors.url(), "PIPEDREAM_CLIENT_ID=id", "PIPEDREAM_CLIENT_SECRET=secret",
		"PIPEDREAM_PROJECT_ID=proj_1", "PIPEDREAM_PROJECT_ENVIRONMENT=production",
		"SENDGRID_API_URL="+r.vendors.url(), "SENDGRID_API_KEY=SG.bench", "SENDGRID_FROM=connect@acme.example",
		// Counted as in production, and never reached.
		"CONNECTLINK_LIMIT_KEY_PER_DAY=100000000", "CONNECTLINK_LIMIT_PROJECT_PER_DAY=100000000", "CONNECTLINK_LIMIT_SPEND_PER_DAY=1000000",
	)
	if _, err := p.command(ctx, "migrate"); err != nil {
		return nil, err
	}
	made, err := p.command(ctx, "keys", "create", "--name", "bench", "--live", "--json")
	if err != nil {
		return nil, err
	}
	var key struct {
		Key string `json:"api_key"`
	}
	r.key, err = "", json.Unmarshal(made, &key)
	r.key = key.Key
	return p, err
}

// command runs a command of the program to its end.
func (p *program) command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.bin, args...)
	cmd.Env = p.env
	return capture(cmd)
}

// newRiver builds the prototype, which is a module of its own, and migrates its database.
func (r *rig) newRiver(ctx context.Context) (*program, error) {
	root, err := capture(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module))
	if err != nil {
		return nil, err
	}
	p := &program{
		name: "River prototype", bin: filepath.Join(r.dir, "river"), open: `SELECT count(*) FROM river_job WHERE state IN ('available', 'running', 'retryable')`,
		args: func(string) []string { return nil },
		vars: func(role, addr string) []string { return []string{"ROLE=" + role, "LISTEN=" + addr} },
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", p.bin, ".")
	build.Dir = filepath.Join(strings.TrimSpace(string(root)), ".ci", "river")
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if _, err := capture(build); err != nil {
		return nil, err
	}
	if p.database, err = r.newDatabase(ctx, "river"); err != nil {
		return nil, err
	}
	p.env = append(os.Environ(), "DATABASE_URL="+p.database, "VENDOR_URL="+r.vendors.url())
	migrate := exec.CommandContext(ctx, p.bin)
	migrate.Env = append(p.env[:len(p.env):len(p.env)], "ROLE=migrate")
	_, err = capture(migrate)
	return p, err
}

// capture runs a command and returns its standard output.
func capture(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		text := stderr.String()
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, text[max(0, len(text)-2000):])
	}
	return out, nil
}

// exec runs SQL on a connection of its own.
func (r *rig) exec(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("%.60s: %w", sql, err)
	}
	return nil
}

// count is the value of a SELECT count(*).
func (r *rig) count(ctx context.Context, database, sql string) (n int64, err error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = conn.QueryRow(ctx, sql).Scan(&n)
	return n, err
}

var (
	tps        = regexp.MustCompile(`tps = ([0-9.]+)`)
	connecting = regexp.MustCompile(`initial connection time = ([0-9.]+) ms`)
)

// plain is pgbench's rate of the yardstick. pgbench's time includes the opening of
// its connections, which on a busy machine can take all of it: it then gets more.
func (r *rig) plain(ctx context.Context, clients int) (rate float64, used usage, err error) {
	const most = 60
	want := max(r.options.Length.Seconds(), 0.5)
	for {
		seconds := int(math.Ceil(want + r.connecting)) // pgbench takes whole seconds
		rate, used, err = r.runPgbench(ctx, clients, seconds)
		if err != nil || rate > 0 && float64(seconds)-r.connecting >= 0.8*want {
			return rate, used, err
		}
		if seconds > most {
			return 0, usage{}, fmt.Errorf("pgbench opened %d connections for %.1f of %d s", clients, r.connecting, seconds)
		}
		r.connecting++ // the next run may connect more slowly
	}
}

// runPgbench returns a rate of 0 if no transaction ended in time. It sets the
// seconds that pgbench needed to connect.
func (r *rig) runPgbench(ctx context.Context, clients, seconds int) (rate float64, used usage, err error) {
	m, err := r.newMeter(ctx, 0)
	if err != nil {
		return 0, usage{}, err
	}
	out, err := capture(exec.CommandContext(ctx, r.pgbench, "-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "1",
		"-T", strconv.Itoa(seconds), "-f", filepath.Join(r.dir, "yard.sql"), r.pg.URL()))
	if err != nil {
		return 0, usage{}, err
	}
	if found := connecting.FindSubmatch(out); found != nil {
		took, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			return 0, usage{}, err
		}
		r.connecting = took / 1000
	} else {
		r.connecting = float64(seconds) // it connected until the end
	}
	if found := tps.FindSubmatch(out); found != nil {
		if rate, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
			return 0, usage{}, err
		}
	}
	if err := m.pause(ctx); err != nil {
		return 0, usage{}, err
	}
	used, err = m.finish(ctx, int(rate*float64(seconds)))
	used.WriteRate = rate // without the time for connecting
	return rate, used, err
}

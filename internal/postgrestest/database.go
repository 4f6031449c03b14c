package postgrestest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/migrations"
)

// prefix marks every database that is ours to drop.
const prefix = "cltest_"

// prepare makes the template and the database for transactions, unless another
// process has. fresh says that this process started the server.
func (s *server) prepare(ctx context.Context, fresh bool) error {
	hash, err := migrationsHash()
	if err != nil {
		return err
	}
	s.template = prefix + "template_" + hash
	txName := prefix + "tx_" + hash
	if s.txURL, err = s.database(txName); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", buildLock); err != nil {
		return err
	}
	if fresh {
		if err := pruneDatabases(ctx, conn, hash); err != nil {
			return err
		}
	}
	if err := s.build(ctx, conn, s.template, func(name string) error {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
			return err
		}
		u, err := s.database(name)
		if err != nil {
			return err
		}
		return postgres.Migrate(ctx, u, slog.New(slog.DiscardHandler))
	}); err != nil {
		return fmt.Errorf("migrate the template database: %w", err)
	}
	return s.build(ctx, conn, txName, func(name string) error {
		_, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+s.template)
		return err
	})
}

// build makes a database under another name and renames it when it is
// complete, so that a process that dies half-way leaves none that looks whole.
func (s *server) build(ctx context.Context, conn *pgx.Conn, name string, fill func(name string) error) error {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
		return err
	}
	building := cloneName("build")
	if err := fill(building); err != nil {
		_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+building+" WITH (FORCE)")
		return err
	}
	_, err := conn.Exec(ctx, "ALTER DATABASE "+building+" RENAME TO "+name)
	return err
}

// pruneDatabases removes databases of earlier runs: no other process uses the server
// yet, or it would have started it.
func pruneDatabases(ctx context.Context, conn *pgx.Conn, hash string) error {
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database d
		WHERE starts_with(datname, $1) AND NOT starts_with(datname, $1 || 'template_' || $2) AND NOT starts_with(datname, $1 || 'tx_' || $2)
		AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = d.datname)`, prefix, hash)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()); err != nil {
			return fmt.Errorf("remove database %s: %w", name, err)
		}
	}
	return nil
}

// migrationsHash changes with every migration, and with River's: its SQL comes
// with the library, pinned by the version the Go migration names.
func migrationsHash() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(migrations.FS, path)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(h, "%s %d\n", path, len(b))
		_, _ = h.Write(b)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read the migrations: %w", err)
	}
	for _, m := range migrations.GoMigrations() {
		_, _ = fmt.Fprintf(h, "%d %s\n", m.Version, m.Source)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// cloneName is unique on the server: process, time and a random end.
func cloneName(kind string) string {
	return strings.ToLower(fmt.Sprintf("%s%s_%d_%d_%s", prefix, kind, os.Getpid(), time.Now().Unix(), randomName()))
}

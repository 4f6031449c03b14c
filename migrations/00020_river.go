package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	// RiverSchema keeps River's tables apart from the product's.
	RiverSchema = "river"
	// riverVersion is pinned, so that updating the library changes no database
	// behind our back: a newer River schema is a new migration here.
	riverVersion = 8
)

// river runs River's migrations without a transaction around them: some add an
// enum value and use it, which PostgreSQL allows only after a commit, and
// River's MigrateTx therefore fails on an empty database. River records each
// version it has applied, so a second run continues where a first one broke.
func river() *goose.Migration {
	m := goose.NewGoMigration(20,
		&goose.GoFunc{RunDB: riverUp},
		&goose.GoFunc{RunDB: riverDown},
	)
	m.Source = "00020_river.go"
	return m
}

func riverUp(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+RiverSchema); err != nil {
		return fmt.Errorf("create River's schema: %w", err)
	}
	return riverMigrate(ctx, db, rivermigrate.DirectionUp, riverVersion)
}

func riverDown(ctx context.Context, db *sql.DB) error {
	if err := riverMigrate(ctx, db, rivermigrate.DirectionDown, -1); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "DROP SCHEMA IF EXISTS "+RiverSchema+" CASCADE"); err != nil {
		return fmt.Errorf("drop River's schema: %w", err)
	}
	return nil
}

func riverMigrate(ctx context.Context, db *sql.DB, direction rivermigrate.Direction, target int) error {
	pool, err := poolLike(ctx, db)
	if err != nil {
		return err
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{
		Schema: RiverSchema,
		Logger: slog.New(slog.DiscardHandler), // the caller reports migrations
	})
	if err != nil {
		return fmt.Errorf("prepare River's migrations: %w", err)
	}
	if _, err := migrator.Migrate(ctx, direction, &rivermigrate.MigrateOpts{TargetVersion: target}); err != nil {
		return fmt.Errorf("run River's migrations: %w", err)
	}
	return nil
}

// poolLike opens a pgx pool to where db is connected: River's driver takes no
// *sql.DB, and goose hands out nothing else.
func poolLike(ctx context.Context, db *sql.DB) (*pgxpool.Pool, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect for River's migrations: %w", err)
	}
	defer func() { _ = conn.Close() }()
	var cfg *pgxpool.Config
	err = conn.Raw(func(driverConn any) error {
		std, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return errors.New("River's migrations need pgx's driver for database/sql")
		}
		own := std.Conn().Config()
		if cfg, err = pgxpool.ParseConfig(own.ConnString()); err != nil {
			return err
		}
		cfg.ConnConfig = own
		cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = 2, 0, 0
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("connect for River's migrations: %w", err)
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

package app_test

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/app"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

func TestAProcessDoesNotStartWhileTheKeysOfSuppressionsCannotBeChecked(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), postgrestest.New(t)
	conn, err := pgx.Connect(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `LOCK TABLE suppressions IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	set := map[string]string{
		"CONNECTLINK_DATABASE_URL": db, "CONNECTLINK_KEYSET": newKeyset(t), "CONNECTLINK_BRAND_NAME": "Acme", "CONNECTLINK_BRAND_REGION": "US",
		"CONNECTLINK_SANDBOX": "true", "CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1",
	}
	cfg, err := config.Load(config.Sources{Env: func(name string) (string, bool) { v, ok := set[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	open := func() error {
		a, err := app.New(ctx, cfg, app.WithSharedTexts(app.Options{Log: slog.New(slog.DiscardHandler), Laptop: true}))
		if err == nil {
			a.Close()
		}
		return err
	}
	if err := open(); !errors.Is(err, app.ErrKeysUnchecked) {
		t.Errorf("the start without the check: %v", err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Errorf("the start with the check: %v", err)
	}
}

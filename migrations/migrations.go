// Package migrations holds the schema: SQL files in goose's format and River's
// own migrations as one Go migration.
//
// It owns the definitions only; package postgres applies them. A migration
// that was released is never edited, a new one follows it. Numbers: 00001- the
// product, 00010 the sandbox's schema, 00020 River's.
package migrations

import (
	"embed"

	"github.com/pressly/goose/v3"
)

// FS holds the SQL migrations.
//
//go:embed *.sql
var FS embed.FS

// GoMigrations returns the migrations that are not SQL files.
func GoMigrations() []*goose.Migration {
	return []*goose.Migration{river()}
}

package invite

import "github.com/jackc/pgx/v5/pgtype"

// pgUUID and pgText are how pgx carries a UUID and a text. They are the domain's
// only words from the database driver: ids and lanes travel through every query,
// and a wrapper per query would be copied everywhere.
type (
	pgUUID = pgtype.UUID
	pgText = pgtype.Text
)

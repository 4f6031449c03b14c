package invite

import "github.com/jackc/pgx/v5/pgtype"

// pgUUID is how pgx carries a UUID. It is the domain's only word from the
// database driver: ids travel through every query, and a wrapper per query
// would be copied everywhere.
type pgUUID = pgtype.UUID

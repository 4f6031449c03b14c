-- +goose NO TRANSACTION
-- +goose Up

-- Connected invites whose account is not watched yet. No open invite is in it.
DROP INDEX CONCURRENTLY IF EXISTS invites_unwatched;
CREATE INDEX CONCURRENTLY invites_unwatched ON invites (project_id, livemode, id)
	WHERE status = 'connected' AND account_id <> '' AND NOT watched AND erased_at IS NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS invites_unwatched;

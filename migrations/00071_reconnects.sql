-- +goose NO TRANSACTION
-- +goose Up

-- From an invite to those that reconnect its account. Only reconnect invites are in it,
-- so accepting another one writes nothing to it.
DROP INDEX CONCURRENTLY IF EXISTS invites_reconnect_of;
CREATE INDEX CONCURRENTLY invites_reconnect_of ON invites (reconnect_of, id DESC) WHERE reconnect_of IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS invites_reconnect_of;

-- +goose NO TRANSACTION
-- +goose Up

-- What one person did in one project and mode, in the order in which it is read.
DROP INDEX CONCURRENTLY IF EXISTS audit_who;
CREATE INDEX CONCURRENTLY audit_who ON audit (project_id, livemode, actor, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS audit_actor;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS audit_actor;
CREATE INDEX CONCURRENTLY audit_actor ON audit (actor, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS audit_who;

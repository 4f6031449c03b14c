-- +goose NO TRANSACTION
-- +goose Up

-- Invites of a user are looked up by user_hash. Only the marks of erased users are
-- looked up by external_user_id, so only erased invites are in the index:
-- accepting an invite does not write to it.
DROP INDEX CONCURRENTLY IF EXISTS invites_erased;
CREATE INDEX CONCURRENTLY invites_erased ON invites (project_id, livemode, external_user_id, app_slug, id DESC) WHERE erased_at IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS invites_person;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS invites_person;
CREATE INDEX CONCURRENTLY invites_person ON invites (project_id, livemode, external_user_id, app_slug, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS invites_erased;

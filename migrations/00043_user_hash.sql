-- +goose NO TRANSACTION
-- +goose Up

-- The keyed hash by which the invites of an external user are looked up. Products
-- use email addresses and phone numbers as user ids, and a parameter of a
-- statement is written to logs of the database. Null: stored by an earlier
-- version; a background job fills it, because SQL has no key.
-- The hash covers project and mode. The index invites_person stays for processes
-- of the earlier version.
ALTER TABLE invites ADD COLUMN IF NOT EXISTS user_hash bytea;
DROP INDEX CONCURRENTLY IF EXISTS invites_user;
CREATE INDEX CONCURRENTLY invites_user ON invites (user_hash, app_slug, id DESC) WHERE user_hash IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS invites_unhashed;
CREATE INDEX CONCURRENTLY invites_unhashed ON invites (project_id, livemode, id) INCLUDE (external_user_id) WHERE user_hash IS NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS invites_unhashed;
DROP INDEX CONCURRENTLY IF EXISTS invites_user;
ALTER TABLE invites DROP COLUMN IF EXISTS user_hash;

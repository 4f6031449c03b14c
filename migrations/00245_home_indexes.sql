-- +goose NO TRANSACTION
-- +goose Up

SET lock_timeout = '10min';

-- The failures of a window are read from the index alone: an event each lies on a page
-- of its own, and home reads thousands.
DROP INDEX CONCURRENTLY IF EXISTS events_failed;
CREATE INDEX CONCURRENTLY events_failed ON events (project_id, livemode, occurred_at DESC) INCLUDE (type, invite_id, delivery_id)
    WHERE type IN ('delivery.bounced', 'delivery.undelivered', 'delivery.rejected', 'delivery.suppressed', 'fallback.skipped', 'connect_failed');
DROP INDEX CONCURRENTLY IF EXISTS events_failures;

-- The newest suppressions of a project, for home and their list, without a look at those of
-- other projects.
DROP INDEX CONCURRENTLY IF EXISTS suppressions_newest;
CREATE INDEX CONCURRENTLY suppressions_newest ON suppressions (project_id, livemode, id DESC) WHERE lifted_at IS NULL;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = '10min';
DROP INDEX CONCURRENTLY IF EXISTS suppressions_newest;
CREATE INDEX CONCURRENTLY IF NOT EXISTS events_failures ON events (project_id, livemode, occurred_at DESC)
    WHERE type IN ('delivery.bounced', 'delivery.undelivered', 'delivery.rejected', 'delivery.suppressed', 'fallback.skipped', 'connect_failed');
DROP INDEX CONCURRENTLY IF EXISTS events_failed;
RESET lock_timeout;

-- +goose NO TRANSACTION
-- +goose Up

-- When something failed, for the numbers of the console's home and the lists that
-- they lead to. Events never change, and only those of failures are in it: sending
-- and visiting cost what they did.
DROP INDEX CONCURRENTLY IF EXISTS events_failures;
CREATE INDEX CONCURRENTLY events_failures ON events (project_id, livemode, occurred_at DESC)
    WHERE type IN ('delivery.bounced', 'delivery.undelivered', 'delivery.rejected', 'delivery.suppressed', 'fallback.skipped', 'connect_failed');

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS events_failures;

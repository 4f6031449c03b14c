-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '10min';

-- Failures in the order in which a reader can follow them: by transaction. Only they are in
-- it, so that a message that goes well costs what it did.
DROP INDEX CONCURRENTLY IF EXISTS events_failures_feed;
CREATE INDEX CONCURRENTLY events_failures_feed ON events (project_id, livemode, txid, id)
    WHERE type IN ('delivery.bounced', 'delivery.undelivered', 'delivery.rejected', 'delivery.retry', 'link.mint_failed');

RESET lock_timeout;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS events_failures_feed;

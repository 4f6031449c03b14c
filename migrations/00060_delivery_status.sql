-- +goose NO TRANSACTION
-- +goose Up

-- Lists by the state of the latest message. The index has only messages that did
-- not go well: sending one that does writes nothing to it. It is built beside the
-- writers. A build that is interrupted leaves an invalid index under the name, so
-- each begins by dropping it.
DROP INDEX CONCURRENTLY IF EXISTS deliveries_troubled;
CREATE INDEX CONCURRENTLY deliveries_troubled ON deliveries (project_id, livemode, status, invite_id DESC)
	WHERE status IN ('deferred', 'bounced', 'undelivered', 'rejected', 'suppressed', 'complained', 'canceled', 'unknown');

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS deliveries_troubled;

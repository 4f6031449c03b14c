-- +goose NO TRANSACTION
-- +goose Up

-- What lists can be narrowed to, where few of many rows fit. None of them holds
-- an invite that goes well, and none changes with a visit: accepting, sending and
-- opening cost what they did. Built beside the writers. A build that was broken
-- off leaves an index that is of no use under its name, so each begins anew.
DROP INDEX CONCURRENTLY IF EXISTS deliveries_reason;
CREATE INDEX CONCURRENTLY deliveries_reason ON deliveries (project_id, livemode, reason, invite_id DESC) WHERE reason <> '';
DROP INDEX CONCURRENTLY IF EXISTS suppressions_kind;
CREATE INDEX CONCURRENTLY suppressions_kind ON suppressions (project_id, livemode, kind, id DESC) WHERE lifted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS suppressions_channel;
CREATE INDEX CONCURRENTLY suppressions_channel ON suppressions (project_id, livemode, channel, id DESC) WHERE lifted_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS audit_act;
CREATE INDEX CONCURRENTLY audit_act ON audit (project_id, livemode, act, id DESC);

-- Whose connection failed is told by the event, which never changes. An index of
-- invites by their progress made every visit write to all of their indexes.
DROP INDEX CONCURRENTLY IF EXISTS events_connect_failed;
CREATE INDEX CONCURRENTLY events_connect_failed ON events (project_id, livemode, invite_id DESC) WHERE type = 'connect_failed';
DROP INDEX CONCURRENTLY IF EXISTS invites_connect_failed;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS invites_connect_failed;
CREATE INDEX CONCURRENTLY invites_connect_failed ON invites (project_id, livemode, id DESC) WHERE progress = 'connect_failed';
DROP INDEX CONCURRENTLY IF EXISTS events_connect_failed;
DROP INDEX CONCURRENTLY IF EXISTS audit_act;
DROP INDEX CONCURRENTLY IF EXISTS suppressions_channel;
DROP INDEX CONCURRENTLY IF EXISTS suppressions_kind;
DROP INDEX CONCURRENTLY IF EXISTS deliveries_reason;

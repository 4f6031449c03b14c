-- +goose Up

-- Processes that take callbacks now. One that stops after its last answer
-- deletes its row; one that dies leaves it, and its last posts may be lost.
CREATE TABLE callback_servers (
    id      uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- When reports of a provider last may have missed us: until then the absence of
-- a report proves nothing. The scope '*' concerns all providers.
CREATE TABLE callback_gaps (
    scope    text PRIMARY KEY, -- '*', or provider/project/mode
    cause    text        NOT NULL, -- no_server, server_lost, refused, late_report
    ended_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- +goose Down
DROP TABLE callback_gaps, callback_servers;

-- +goose NO TRANSACTION
-- +goose Up

-- Attempts of a span of time, for asking whether others of that time were
-- reported on. They are inserted in the order of their start, so a BRIN index
-- serves, and costs next to nothing on insert.
DROP INDEX CONCURRENTLY IF EXISTS attempts_started;
CREATE INDEX CONCURRENTLY attempts_started ON attempts USING brin (started_at) WITH (pages_per_range = 16, autosummarize = on);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS attempts_started;

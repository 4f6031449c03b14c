-- +goose NO TRANSACTION
-- +goose Up

-- How Pipedream does, by what became of requests for links. Only failures are in
-- it: a link that is issued costs what it did.
DROP INDEX CONCURRENTLY IF EXISTS events_mint_failures;
CREATE INDEX CONCURRENTLY events_mint_failures ON events (project_id, livemode, occurred_at DESC) WHERE type = 'link.mint_failed';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS events_mint_failures;

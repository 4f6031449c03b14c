-- +goose NO TRANSACTION
-- +goose Up

-- Attempts in doubt, for a gauge: the delivery is being sent, and no process has it. A
-- delivery that is begun and ends by its answer has a lease all the while and writes
-- nothing to the index.
SET lock_timeout = '10min';
DROP INDEX CONCURRENTLY IF EXISTS deliveries_in_doubt;
CREATE INDEX CONCURRENTLY deliveries_in_doubt ON deliveries (next_at)
	WHERE status = 'sending' AND lease_owner IS NULL AND next_at IS NOT NULL;
RESET lock_timeout;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS deliveries_in_doubt;

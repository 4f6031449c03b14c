-- +goose Up

-- Each kind of background work has a queue of its own: what an earlier version
-- put into the common one must neither wait for webhooks nor delay anything.
UPDATE river.river_job SET queue = CASE kind WHEN 'publish' THEN 'events' ELSE 'confirm' END
WHERE queue = 'default' AND kind IN ('publish', 'confirm') AND state IN ('available', 'scheduled', 'retryable');

-- +goose Down
UPDATE river.river_job SET queue = 'default'
WHERE queue <> 'default' AND state IN ('available', 'scheduled', 'retryable');

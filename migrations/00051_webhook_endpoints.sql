-- +goose Up

-- Where products receive events, beside the webhook of the configuration.
CREATE TABLE webhook_endpoints (
    id               uuid PRIMARY KEY,
    project_id       text        NOT NULL,
    livemode         boolean     NOT NULL,
    types            text[]      NOT NULL, -- of the events it receives; empty: all
    content          bytea       NOT NULL, -- sealed: URL, description, secret and the secret before
    old_secret_until timestamptz,          -- the secret before signs too until then
    failing_since    timestamptz,          -- the first failure since the last success
    disabled_at      timestamptz,
    disabled_why     text        NOT NULL DEFAULT '' CHECK (disabled_why IN ('', 'request', 'gone', 'failing')),
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_endpoints_list ON webhook_endpoints (project_id, livemode, id DESC);

-- One event for one endpoint: queue and outcome in one row.
CREATE TABLE webhook_deliveries (
    endpoint_id  uuid        NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    event_id     uuid        NOT NULL REFERENCES public_events ON DELETE CASCADE,
    next_at      timestamptz, -- due, or the end of the lease of the process that posts it; null: nothing is left to do
    attempts     integer     NOT NULL DEFAULT 0, -- since it was queued; also the fencing token
    delivered_at timestamptz,
    PRIMARY KEY (endpoint_id, event_id)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_at) WHERE next_at IS NOT NULL;

-- One post of an event.
CREATE TABLE webhook_attempts (
    id          uuid PRIMARY KEY, -- UUIDv7: retention deletes along it
    endpoint_id uuid        NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    event_id    uuid        NOT NULL REFERENCES public_events ON DELETE CASCADE,
    number      integer     NOT NULL,
    status      integer     NOT NULL, -- of HTTP; 0: no answer came
    failure     text        NOT NULL, -- why no answer came; names neither URL nor secret
    answer      bytea,                -- sealed: the first kilobyte
    took_ms     integer     NOT NULL,
    created_at  timestamptz NOT NULL
);
CREATE INDEX webhook_attempts_list ON webhook_attempts (endpoint_id, id DESC);
CREATE INDEX webhook_attempts_event ON webhook_attempts (event_id);

-- +goose Down
DROP TABLE webhook_attempts, webhook_deliveries, webhook_endpoints;

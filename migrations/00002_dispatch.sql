-- +goose Up

-- One row per provider account (credentials that share limits and credit),
-- shared by all processes: its breaker, its pace, and what is known of its
-- receipts. Rows are made by whoever sends through the account first.
CREATE TABLE provider_accounts (
    account          text PRIMARY KEY,
    failures         integer     NOT NULL DEFAULT 0, -- in a row
    trips            integer     NOT NULL DEFAULT 0, -- how often the breaker opened since it was last closed
    open_until       timestamptz, -- null: closed; past: one probe may be sent
    probe_until      timestamptz, -- until then the probe is somebody's
    tokens           float8      NOT NULL DEFAULT 0, -- of the bucket that paces sends
    filled_at        timestamptz, -- null: never used, so full
    last_receipt_at  timestamptz, -- when the last verified callback came
    last_receipt_for timestamptz, -- start of the latest attempt that a callback spoke of
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);

-- What an attempt put before the recipient, for looking it up at the provider:
-- links may be minted anew between two attempts.
ALTER TABLE attempts ADD COLUMN link_id uuid;

-- +goose Down
ALTER TABLE attempts DROP COLUMN link_id;
DROP TABLE provider_accounts;

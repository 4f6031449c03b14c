-- +goose Up

-- What the stand-in for Pipedream says of an account.
ALTER TABLE sandbox.accounts
    ADD COLUMN healthy boolean NOT NULL DEFAULT true,
    ADD COLUMN dead    boolean, -- as at Pipedream, mostly null
    ADD COLUMN error   text;

-- +goose Down
ALTER TABLE sandbox.accounts DROP COLUMN error, DROP COLUMN dead, DROP COLUMN healthy;

-- +goose Up

-- Invites to connect an account again. Every column has a constant default or none,
-- so no row is rewritten, and the previous version, which names its columns, goes on
-- inserting. NOT VALID: existing rows have the defaults.
ALTER TABLE invites
    ADD COLUMN kind              text NOT NULL DEFAULT 'invite',
    ADD COLUMN reconnect_account text NOT NULL DEFAULT '', -- the account that the link reconnects; empty: a new one is connected
    ADD COLUMN reconnect_of      uuid,                     -- the invite by which the account was connected, while it exists
    ADD CONSTRAINT invites_kind CHECK (kind IN ('invite', 'reconnect')) NOT VALID;

-- +goose Down
ALTER TABLE invites DROP CONSTRAINT invites_kind, DROP COLUMN reconnect_of, DROP COLUMN reconnect_account, DROP COLUMN kind;

-- +goose Up

ALTER TABLE api_keys
    -- The network of the last use: an IPv4 /24, an IPv6 /48, 'loopback' or 'private'; never
    -- a whole address.
    ADD COLUMN last_used_from text NOT NULL DEFAULT '',
    ADD COLUMN replaces uuid, -- the key that this one was made to replace
    -- Days before the end of which the latest warning was raised; null: none yet.
    ADD COLUMN end_told integer;

-- +goose Down
ALTER TABLE api_keys DROP COLUMN last_used_from, DROP COLUMN replaces, DROP COLUMN end_told;

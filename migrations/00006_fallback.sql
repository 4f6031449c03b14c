-- +goose Up

-- The other channel that an invite may still fall back to, and when to send at
-- all. fallback_at is when to look at it: null while nothing calls for it.
ALTER TABLE invites
    ADD COLUMN fallback_channel text NOT NULL DEFAULT '' CHECK (fallback_channel IN ('', 'email', 'sms')),
    ADD COLUMN fallback_after   text NOT NULL DEFAULT '' CHECK (fallback_after IN ('', 'failure', 'not_visited')),
    ADD COLUMN fallback_delay_s integer NOT NULL DEFAULT 0 CHECK (fallback_delay_s >= 0),
    ADD COLUMN fallback_at      timestamptz,
    ADD COLUMN send_at          timestamptz; -- null: at once
CREATE INDEX invites_fallback ON invites (fallback_at) WHERE fallback_at IS NOT NULL;

-- +goose Down
DROP INDEX invites_fallback;
ALTER TABLE invites DROP COLUMN fallback_channel, DROP COLUMN fallback_after, DROP COLUMN fallback_delay_s,
    DROP COLUMN fallback_at, DROP COLUMN send_at;

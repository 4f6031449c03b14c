-- +goose Up

-- How often to remind of a message that found no reader, and when next: null
-- when nothing is left to do.
ALTER TABLE invites
    ADD COLUMN reminders smallint NOT NULL DEFAULT 0 CHECK (reminders BETWEEN 0 AND 3),
    ADD COLUMN reminded  smallint NOT NULL DEFAULT 0 CHECK (reminded BETWEEN 0 AND 3),
    ADD COLUMN remind_at timestamptz;
CREATE INDEX invites_remind ON invites (remind_at) WHERE remind_at IS NOT NULL;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_kind_check,
    ADD CONSTRAINT deliveries_kind_check CHECK (kind IN ('first', 'resend', 'reminder'));

-- +goose Down
ALTER TABLE deliveries DROP CONSTRAINT deliveries_kind_check,
    ADD CONSTRAINT deliveries_kind_check CHECK (kind IN ('first', 'resend'));
DROP INDEX invites_remind;
ALTER TABLE invites DROP COLUMN reminders, DROP COLUMN reminded, DROP COLUMN remind_at;

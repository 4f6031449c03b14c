-- +goose Up

-- Messages that staff sent to their own address: what limits them, and what became of
-- each, so that a form that is posted again sends nothing. Rows last a day.
CREATE TABLE test_sends (
    id         uuid        PRIMARY KEY,
    staff_id   uuid        NOT NULL REFERENCES staff ON DELETE CASCADE,
    form       bytea       NOT NULL, -- digest of the key of the form that was posted
    provider   text        NOT NULL,
    outcome    text        NOT NULL DEFAULT '' CHECK (outcome IN ('', 'accepted', 'refused', 'not_sent', 'unknown')), -- empty while the provider is called
    reason     text        NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (staff_id, form)
);
CREATE INDEX test_sends_started ON test_sends (staff_id, started_at);

-- +goose Down
DROP TABLE test_sends;

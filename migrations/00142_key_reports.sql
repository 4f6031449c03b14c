-- +goose Up

-- Invites of API keys that their recipients reported on the page, or marked as spam. Each
-- counts once, whatever is reported about it. Rows are kept for 30 days.
CREATE TABLE key_reports (
    project_id  text        NOT NULL,
    key_id      uuid        NOT NULL,
    invite_id   uuid        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('reported', 'complained')),
    reported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, key_id, invite_id)
);
CREATE INDEX key_reports_age ON key_reports (reported_at);

-- +goose Down
DROP TABLE key_reports;

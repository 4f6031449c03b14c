-- +goose Up

-- What staff searched for, for some minutes: the address of the answer carries a
-- handle instead, because an email address or a number has no place in a URL. The
-- text is sealed, and of use to the session that typed it only.
CREATE TABLE staff_searches (
    id         uuid PRIMARY KEY,
    session_id uuid        NOT NULL REFERENCES staff_sessions ON DELETE CASCADE,
    text       bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX staff_searches_of ON staff_searches (session_id, created_at);
CREATE INDEX staff_searches_old ON staff_searches (created_at);

-- +goose Down
DROP TABLE staff_searches;

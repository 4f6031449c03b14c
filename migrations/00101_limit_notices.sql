-- +goose Up

-- Each limit that a day's messages came near (80 %) or reached, once. Rows are written
-- by the statement that counts the message, so none is missed.
CREATE TABLE limit_notices (
    day        date        NOT NULL,
    scope      text        NOT NULL,
    subject    bytea       NOT NULL,
    measure    text        NOT NULL CHECK (measure IN ('day', 'cost')),
    level      text        NOT NULL CHECK (level IN ('near', 'reached')),
    used       bigint      NOT NULL,
    most       bigint      NOT NULL,
    raised_at  timestamptz NOT NULL DEFAULT now(),
    told_at    timestamptz, -- when the event and the log line were written
    PRIMARY KEY (day, scope, subject, measure, level)
);
CREATE INDEX limit_notices_untold ON limit_notices (raised_at) WHERE told_at IS NULL;

-- +goose Down
DROP TABLE limit_notices;

-- +goose Up

-- What goes wrong for one project in test mode, by vendor, until it ends. In the database,
-- because the process that is told of it need not be the one that sends.
CREATE TABLE sandbox.faults (
    account text        NOT NULL, -- the project
    vendor  text        NOT NULL CHECK (vendor IN ('pipedream', 'email', 'sms')),
    kind    text        NOT NULL CHECK (kind IN ('down', 'slow', 'rate_limited', 'lost_answer', 'doubled_events')),
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (account, vendor)
);

-- +goose Down
DROP TABLE sandbox.faults;

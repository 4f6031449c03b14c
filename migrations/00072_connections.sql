-- +goose Up

-- How connected accounts do at Pipedream: one row for each account of an invite, so
-- that two processes cannot tell of the same change, and neither do two invites.
CREATE TABLE connections (
    project_id   text        NOT NULL,
    livemode     boolean     NOT NULL,
    environment  text        NOT NULL,
    account_id   text        NOT NULL,
    -- The newest invite by which it was connected: events stand on its timeline.
    invite_id    uuid        NOT NULL REFERENCES invites ON DELETE CASCADE,
    status       text        NOT NULL DEFAULT 'unknown' CHECK (status IN ('unknown', 'healthy', 'unhealthy')),
    reason       text        NOT NULL DEFAULT '' CHECK (reason IN ('', 'account_unhealthy', 'account_dead', 'account_deleted')),
    error        bytea,       -- sealed: Pipedream's words
    since        timestamptz, -- when the status was first seen
    checked_at   timestamptz, -- when Pipedream last told the status
    next_at      timestamptz NOT NULL, -- when the watch is due, or the end of the claim of the process that checks it
    reconnect_at timestamptz, -- when an invite to connect it again is to be made; null: never, or made
    PRIMARY KEY (project_id, livemode, environment, account_id)
) WITH (fillfactor = 85);
CREATE INDEX connections_due ON connections (project_id, livemode, next_at);
CREATE INDEX connections_invite ON connections (invite_id);
CREATE INDEX connections_reconnect ON connections (reconnect_at) WHERE reconnect_at IS NOT NULL;

-- What calls may be made with one client at Pipedream, over all processes and projects.
CREATE TABLE pipedream_budgets (
    credentials bytea PRIMARY KEY, -- a hash
    full_at     timestamptz NOT NULL, -- when the bucket is full again
    rest_until  timestamptz -- Pipedream asked for a pause
) WITH (fillfactor = 50);

-- Whether the account of an invite is in connections. Processes of the version before
-- connect without it; the watch finds those invites by it.
ALTER TABLE invites ADD COLUMN watched boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE invites DROP COLUMN watched;
DROP TABLE pipedream_budgets, connections;

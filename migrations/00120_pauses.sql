-- +goose Up

-- What must not be sent for a while, beside whole lanes (lanes.held_at): text messages
-- to a country or to a range of numbers, and the messages of one API key. Staff pause
-- a country, the spend firewall a country or a range, reports of recipients a key. A
-- row stays when it was resumed, as evidence.
CREATE TABLE sending_pauses (
    id         uuid PRIMARY KEY,
    project_id text        NOT NULL,
    livemode   boolean     NOT NULL,
    scope      text        NOT NULL CHECK (scope IN ('sms_country', 'sms_prefix', 'key')),
    subject    text        NOT NULL, -- a country's code, the first digits of numbers, or a key's id
    source     text        NOT NULL CHECK (source IN ('person', 'firewall', 'reports')),
    why        text        NOT NULL, -- of a pick list
    paused_by  text        NOT NULL, -- "staff:stf_…", "key:key_…", "system"
    figures    jsonb       NOT NULL DEFAULT '{}', -- what led to the pause
    paused_at  timestamptz NOT NULL DEFAULT now(),
    resumed_by text        NOT NULL DEFAULT '',
    resumed_at timestamptz
);
CREATE UNIQUE INDEX sending_pauses_current ON sending_pauses (project_id, livemode, scope, subject) WHERE resumed_at IS NULL;
CREATE INDEX sending_pauses_ended ON sending_pauses (resumed_at) WHERE resumed_at IS NOT NULL;

-- +goose Down
DROP TABLE sending_pauses;

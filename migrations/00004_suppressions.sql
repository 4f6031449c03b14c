-- +goose Up

-- Addresses that are not to be written to. They outlive the invites they came
-- from, so nothing here refers to one. A lifted row stays, to say who lifted it.
CREATE TABLE suppressions (
    id          uuid PRIMARY KEY,
    project_id  text        NOT NULL,
    livemode    boolean     NOT NULL,
    channel     text        NOT NULL CHECK (channel IN ('email', 'sms')),
    kind        text        NOT NULL CHECK (kind IN ('hard_bounce', 'spam_report', 'opt_out', 'bad_number', 'not_me', 'by_hand')),
    -- Keyed: of project, mode and address; of an opt-out, of sender and number,
    -- because STOP is said to a sender, whichever project sends through it.
    hash        bytea       NOT NULL,
    sender      text        NOT NULL DEFAULT '', -- of an opt-out
    address     bytea,      -- sealed; null once erased: the hash of an opt-out stays
    note        bytea,      -- sealed: why, in the words of who added it
    source      text        NOT NULL CHECK (source IN ('receipt', 'reply', 'api', 'page')),
    invite_id   uuid,
    created_by  text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    lifted_at   timestamptz,
    lifted_by   text        NOT NULL DEFAULT '',
    lift_note   bytea       -- sealed
);
CREATE UNIQUE INDEX suppressions_standing ON suppressions (hash) WHERE lifted_at IS NULL;
CREATE INDEX suppressions_list ON suppressions (project_id, livemode, id DESC);
CREATE INDEX suppressions_sender ON suppressions (sender, id DESC) WHERE sender <> '';

-- +goose Down
DROP TABLE suppressions;

-- +goose Up

-- The stand-ins for Pipedream, SendGrid and Twilio keep their state apart from
-- the product's: nothing in another schema refers to this one, so that it can
-- be dropped, or live in a database of its own, without a trace.
CREATE SCHEMA sandbox;

-- One row: the vendor accounts this deployment's test mode talks to.
CREATE TABLE sandbox.deployment (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    credentials bytea       NOT NULL, -- sealed
    created_at  timestamptz NOT NULL
);

-- What the stand-ins took. Vendor ids (X-Message-Id, SM…) are derived from id,
-- and the row is its own schedule (fate, step, due_at): taking a message must
-- cost one INSERT, since load tests send thousands a second through here.
CREATE TABLE sandbox.messages (
    id         uuid PRIMARY KEY,
    channel    text        NOT NULL CHECK (channel IN ('email', 'sms')),
    attempt_id text        NOT NULL,
    invite_id  text        NOT NULL,
    to_hash    bytea       NOT NULL,
    content    bytea,                 -- sealed; NULL once deleted
    fate       text        NOT NULL,
    step       smallint    NOT NULL DEFAULT 0,
    due_at     timestamptz,           -- when the next step happens; NULL after the last
    status     text        NOT NULL,
    error_code integer,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    sent_at    timestamptz,
    deleted_at timestamptz            -- kept as a row: the ledger counts it still
);
CREATE INDEX messages_due    ON sandbox.messages (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX messages_to     ON sandbox.messages (to_hash, created_at);
CREATE INDEX messages_invite ON sandbox.messages (invite_id, created_at);

-- What happened to a message, and what still has to be posted about it.
CREATE TABLE sandbox.events (
    id          uuid PRIMARY KEY,
    message_id  uuid REFERENCES sandbox.messages ON DELETE CASCADE,
    source      text        NOT NULL CHECK (source IN ('sendgrid', 'twilio', 'pipedream', 'person')),
    name        text        NOT NULL,
    extra       jsonb       NOT NULL DEFAULT '{}', -- the vendor's own words; nobody's data
    payload     bytea,                             -- sealed; only what cannot be composed from the message
    happened_at timestamptz NOT NULL,
    due_at      timestamptz,                       -- when to post it next; NULL: nothing (more) to post
    tries       smallint    NOT NULL DEFAULT 0,
    answer      smallint                           -- the receiver's last HTTP status, 0 when it gave none
);
CREATE INDEX events_due     ON sandbox.events (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX events_message ON sandbox.events (message_id, happened_at);

-- Scripted people: one row walks through one message's journey.
CREATE TABLE sandbox.journeys (
    id         uuid PRIMARY KEY,
    message_id uuid        NOT NULL REFERENCES sandbox.messages ON DELETE CASCADE,
    kind       text        NOT NULL,
    slow       boolean     NOT NULL,
    step       smallint    NOT NULL DEFAULT 0,
    state      bytea,                 -- sealed: the page they are on
    due_at     timestamptz,
    tries      smallint    NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL
);
CREATE INDEX journeys_due ON sandbox.journeys (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE sandbox.connect_tokens (
    digest       bytea PRIMARY KEY,
    id           uuid        NOT NULL,
    project_id   text        NOT NULL,
    environment  text        NOT NULL CHECK (environment IN ('development', 'production')),
    app          text        NOT NULL,
    oauth_app_id text        NOT NULL,
    scope        text        NOT NULL,
    content      bytea       NOT NULL, -- sealed: whose token, redirect and webhook URIs
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    spent_at     timestamptz
);

CREATE TABLE sandbox.accounts (
    id           uuid PRIMARY KEY,
    project_id   text        NOT NULL,
    environment  text        NOT NULL,
    user_hash    bytea       NOT NULL,
    app          text        NOT NULL,
    oauth_app_id text        NOT NULL,
    content      bytea       NOT NULL, -- sealed: external user id, account name
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);
CREATE INDEX accounts_user ON sandbox.accounts (project_id, environment, user_hash, created_at);

-- What has been scripted for a person or address, and how often it came true.
CREATE TABLE sandbox.scripts (
    kind     text        NOT NULL,
    key_hash bytea       NOT NULL,
    uses     integer     NOT NULL DEFAULT 0,
    since    timestamptz NOT NULL,
    PRIMARY KEY (kind, key_hash)
);

CREATE TABLE sandbox.suppressions (
    list         text        NOT NULL,
    address_hash bytea       NOT NULL,
    reason       text        NOT NULL,
    status       text        NOT NULL,
    created_at   timestamptz NOT NULL,
    lifted_at    timestamptz,
    PRIMARY KEY (list, address_hash)
);

-- +goose Down
DROP SCHEMA sandbox CASCADE;

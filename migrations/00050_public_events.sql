-- +goose Up

-- What products are told of: the events of GET /v1/events and of webhooks. Written in
-- the transaction that causes them, also where no webhook is configured. (The table
-- events is the timeline of an invite; it has more, and no snapshots.)
CREATE TABLE public_events (
    id         uuid PRIMARY KEY, -- UUIDv7: retention deletes along it
    -- The transaction that wrote it. Readers go by (xact, id) and stop before the oldest
    -- transaction that still runs, so a late commit is never behind a reader's cursor.
    xact       xid8        NOT NULL DEFAULT pg_current_xact_id(),
    project_id text        NOT NULL,
    livemode   boolean     NOT NULL,
    type       text        NOT NULL,
    invite_id  uuid        REFERENCES invites ON DELETE CASCADE, -- null: it is not about an invite
    sequence   integer     NOT NULL, -- number of the timeline's event that caused it; 0 without an invite
    body       bytea,                -- sealed: what reads and deliveries return, byte for byte; null once the person was erased
    created_at timestamptz NOT NULL
);
-- By type first: a feed of rare types reads none of the others.
CREATE INDEX public_events_feed ON public_events (project_id, livemode, type, xact, id);
CREATE UNIQUE INDEX public_events_invite ON public_events (invite_id, sequence);

-- +goose Down
DROP TABLE public_events;

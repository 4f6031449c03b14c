-- +goose Up

-- One act of staff on many invites, from its dry run to its end.
CREATE TABLE bulk_acts (
    project_id   text        NOT NULL,
    livemode     boolean     NOT NULL,
    id           uuid        NOT NULL,
    staff_id     uuid        NOT NULL,
    act          text        NOT NULL CHECK (act IN ('resend', 'switch', 'correct', 'revoke')),
    channel      text        NOT NULL DEFAULT '', -- of switch
    selection    text        NOT NULL,            -- how the invites were selected, in words of a fixed list
    state        text        NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'running', 'finished', 'stopped')),
    items        integer     NOT NULL,
    emails       integer     NOT NULL, -- of the dry run
    texts        integer     NOT NULL,
    cost         bigint      NOT NULL, -- in millionths of the price table's currency
    created_at   timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    ended_at     timestamptz,
    stopped_by   uuid,
    due_at       timestamptz,
    lease_until  timestamptz,
    PRIMARY KEY (project_id, livemode, id)
);
CREATE INDEX bulk_acts_running ON bulk_acts (due_at) WHERE state = 'running';
CREATE INDEX bulk_acts_drafts ON bulk_acts (created_at) WHERE state = 'draft';
CREATE INDEX bulk_acts_ended ON bulk_acts (ended_at) WHERE ended_at IS NOT NULL;

-- The invites of an act. An item is done in the transaction that changes its invite, so that a
-- process that ends in between repeats nothing.
CREATE TABLE bulk_items (
    project_id text        NOT NULL,
    livemode   boolean     NOT NULL,
    bulk_id    uuid        NOT NULL,
    number     integer     NOT NULL,
    line       integer     NOT NULL DEFAULT 0, -- of a file; 0: there is none
    id         uuid        NOT NULL,
    invite_id  uuid        NOT NULL REFERENCES invites ON DELETE CASCADE,
    state      text        NOT NULL CHECK (state IN ('waiting', 'done', 'failed', 'left_out', 'stopped')),
    reason     text        NOT NULL DEFAULT '',
    doubt      text        NOT NULL DEFAULT '', -- a warning of the dry run
    address    bytea,                           -- the corrected one, sealed, until the item is over
    next_at    timestamptz NOT NULL DEFAULT now(),
    over_at    timestamptz,
    PRIMARY KEY (project_id, livemode, bulk_id, number),
    FOREIGN KEY (project_id, livemode, bulk_id) REFERENCES bulk_acts ON DELETE CASCADE
);
CREATE INDEX bulk_items_invite ON bulk_items (invite_id);
CREATE INDEX bulk_items_waiting ON bulk_items (project_id, livemode, bulk_id, number) WHERE state = 'waiting';

-- +goose Down
DROP TABLE bulk_items;
DROP TABLE bulk_acts;

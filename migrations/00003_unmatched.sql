-- +goose Up

-- Callbacks that match no attempt yet: they are tried again for a day. What
-- they say stands, sealed, in callbacks.
CREATE TABLE unmatched (
    callback_id uuid PRIMARY KEY REFERENCES callbacks ON DELETE CASCADE,
    project_id  text        NOT NULL,
    livemode    boolean     NOT NULL,
    invite_ref  uuid,        -- as the callback's path named them; they may not exist
    attempt_ref uuid,
    tries       integer     NOT NULL DEFAULT 0,
    next_at     timestamptz NOT NULL,
    gives_up_at timestamptz NOT NULL
);
CREATE INDEX unmatched_due ON unmatched (next_at);

-- Messages that were taken, and of which nobody has said yet what became.
CREATE INDEX deliveries_silent ON deliveries (livemode, channel, updated_at)
    WHERE status IN ('accepted', 'sent') AND reason = '';

-- +goose Down
DROP INDEX deliveries_silent;
DROP TABLE unmatched;

-- +goose Up

-- An invite whose person was erased: what is personal is gone, the row stays to
-- say that there was one. Retention deletes it in its time.
ALTER TABLE invites ADD COLUMN erased_at timestamptz;

-- Ended invites, oldest first, by whom retention may differ.
CREATE INDEX invites_ended ON invites (project_id, wiped_at) WHERE wiped_at IS NOT NULL;

-- What came about an invite is found to be erased with it.
CREATE INDEX callbacks_invite ON callbacks (invite_id) WHERE invite_id IS NOT NULL;
CREATE INDEX unmatched_invite ON unmatched (invite_ref) WHERE invite_ref IS NOT NULL;
CREATE INDEX suppressions_invite ON suppressions (invite_id) WHERE invite_id IS NOT NULL;
CREATE INDEX suppressions_lifted ON suppressions (hash) WHERE lifted_at IS NOT NULL;

-- Text messages whose words are still at their provider. A row is written when
-- the invite ends, and outlives it: deleting what we hold must not make us
-- forget what others hold. next_at is null once it is done or given up.
CREATE TABLE redactions (
    invite_id   uuid        NOT NULL,
    attempt_id  uuid        NOT NULL,
    project_id  text        NOT NULL,
    livemode    boolean     NOT NULL,
    message_id  text        NOT NULL DEFAULT '', -- the provider's; known at the latest when it is needed
    remove      boolean     NOT NULL DEFAULT false, -- the record too, because the person was erased
    next_at     timestamptz,
    tries       integer     NOT NULL DEFAULT 0, -- that failed
    redacted_at timestamptz, -- its words are gone
    removed_at  timestamptz, -- its record is gone
    gave_up_at  timestamptz, -- somebody has to do it at the provider
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (invite_id, attempt_id)
);
CREATE INDEX redactions_due ON redactions (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX redactions_given_up ON redactions (gave_up_at) WHERE gave_up_at IS NOT NULL;
CREATE INDEX redactions_done ON redactions (created_at) WHERE next_at IS NULL;

-- +goose Down
DROP TABLE redactions;
DROP INDEX suppressions_lifted, suppressions_invite, unmatched_invite, callbacks_invite, invites_ended;
ALTER TABLE invites DROP COLUMN erased_at;

-- +goose Up

-- What a recipient has to show before a connect link is handed out.
ALTER TABLE invites ADD COLUMN verify text NOT NULL DEFAULT 'none' CHECK (verify IN ('none', 'code'));

-- A passcode goes out as a delivery like every other, so that it is neither
-- lost nor sent twice. (Reminders are another kind of message.)
ALTER TABLE deliveries DROP CONSTRAINT deliveries_kind_check,
    ADD CONSTRAINT deliveries_kind_check CHECK (kind IN ('first', 'resend', 'reminder', 'passcode'));

-- Six digits that prove who holds an invite link. They are in no event and no
-- log; what is compared is a keyed hash, because a million digits are soon tried.
CREATE TABLE passcodes (
    invite_id   uuid        NOT NULL,
    delivery_id uuid        NOT NULL, -- the message that carries it; also the passcode's own id
    hash        bytea       NOT NULL, -- keyed
    digits      bytea,                -- sealed, for the message; null once that was sent
    tries       integer     NOT NULL DEFAULT 0, -- wrong ones
    expires_at  timestamptz NOT NULL,
    passed_at   timestamptz,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (invite_id, delivery_id),
    FOREIGN KEY (invite_id, delivery_id) REFERENCES deliveries ON DELETE CASCADE
);

-- +goose Down
DROP TABLE passcodes;
DELETE FROM deliveries WHERE kind = 'passcode';
ALTER TABLE deliveries DROP CONSTRAINT deliveries_kind_check,
    ADD CONSTRAINT deliveries_kind_check CHECK (kind IN ('first', 'resend', 'reminder'));
ALTER TABLE invites DROP COLUMN verify;

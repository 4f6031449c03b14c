-- +goose Up

-- What a product's own app holds for one invite. Like a key it is stored as a
-- digest only; unlike a key it knows nothing but its invite.
CREATE TABLE client_tokens (
    digest     bytea PRIMARY KEY,
    invite_id  uuid        NOT NULL REFERENCES invites ON DELETE CASCADE,
    key_id     uuid        NOT NULL, -- the key that asked for it
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX client_tokens_invite ON client_tokens (invite_id);
CREATE INDEX client_tokens_old ON client_tokens (expires_at);

-- +goose Down
DROP TABLE client_tokens;

-- +goose Up

-- Failed sign-ins in a row, by a keyed hash of who tries: a device that signed in
-- before, or an address and a login. Rows that were not touched for two hours go.
CREATE TABLE sign_in_failures (
    tried_by     bytea PRIMARY KEY,
    failures     integer     NOT NULL CHECK (failures > 0),
    locked_until timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sign_in_failures_old ON sign_in_failures (updated_at);

-- The second factor of emergency accounts: time-based codes (RFC 6238).
CREATE TABLE staff_totp (
    staff_id     uuid PRIMARY KEY REFERENCES staff ON DELETE CASCADE,
    secret       bytea       NOT NULL, -- sealed
    last_step    bigint      NOT NULL, -- of the last code taken; each is taken once
    failures     integer     NOT NULL DEFAULT 0, -- wrong codes in a row, all by people with the password
    locked_until timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- Codes for who lost the second factor, as digests; each works once.
CREATE TABLE staff_recovery_codes (
    staff_id uuid  NOT NULL REFERENCES staff ON DELETE CASCADE,
    digest   bytea NOT NULL,
    used_at  timestamptz,
    PRIMARY KEY (staff_id, digest)
);

-- What is taken once and has an end of its own: answers of the issuer, logout tokens.
CREATE TABLE single_uses (
    digest     bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX single_uses_old ON single_uses (expires_at);

ALTER TABLE staff_sessions
    ADD COLUMN confirmed_at   timestamptz, -- when the person last proved who they are; null: at created_at
    ADD COLUMN checked_at     timestamptz, -- when the issuer last vouched for the person; null: at created_at
    ADD COLUMN issuer_session bytea,       -- digest of the issuer and its sid
    ADD COLUMN held_form      bytea,       -- sealed; what was to be sent when a confirmation was asked for
    DROP CONSTRAINT staff_sessions_ended_why_check,
    ADD CONSTRAINT staff_sessions_ended_why_check
        CHECK (ended_why IN ('', 'signed_out', 'revoked', 'replaced', 'disabled', 'confirm', 'issuer'));
CREATE INDEX staff_sessions_issuer ON staff_sessions (issuer_session) WHERE issuer_session IS NOT NULL;

-- +goose Down
DROP INDEX staff_sessions_issuer;
UPDATE staff_sessions SET ended_why = 'revoked' WHERE ended_why IN ('confirm', 'issuer');
ALTER TABLE staff_sessions
    DROP CONSTRAINT staff_sessions_ended_why_check,
    ADD CONSTRAINT staff_sessions_ended_why_check CHECK (ended_why IN ('', 'signed_out', 'revoked', 'replaced', 'disabled')),
    DROP COLUMN held_form, DROP COLUMN issuer_session, DROP COLUMN checked_at, DROP COLUMN confirmed_at;
DROP TABLE single_uses, staff_recovery_codes, staff_totp, sign_in_failures;

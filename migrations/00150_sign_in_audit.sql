-- +goose Up

-- When a form began to wait for its person; null beside a form: a process of an earlier
-- version keeps it. When an account's second factor was last reset: what a person began to
-- set up before is void.
ALTER TABLE staff_sessions ADD COLUMN held_at timestamptz;
ALTER TABLE staff ADD COLUMN factor_reset_at timestamptz;

-- Refused sign-ins without an account, counted for an hour, so that the audit log has a
-- bounded number of entries about them: by a keyed hash of a login and a network, of a
-- network, and of all.
CREATE TABLE refused_sign_ins (
    subject  bytea PRIMARY KEY,
    refusals integer     NOT NULL CHECK (refusals > 0),
    began_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refused_sign_ins_old ON refused_sign_ins (began_at);

-- +goose Down
DROP TABLE refused_sign_ins;
ALTER TABLE staff DROP COLUMN factor_reset_at;
ALTER TABLE staff_sessions DROP COLUMN held_at;

-- +goose Up

-- Acts that extend invites. The default is constant, so no row is rewritten; NOT VALID,
-- because the acts of existing rows are among the new ones.
ALTER TABLE bulk_acts
    ADD COLUMN valid_for_s integer NOT NULL DEFAULT 0, -- of extend: the time from the change of an invite to its new end
    DROP CONSTRAINT bulk_acts_act_check,
    ADD CONSTRAINT bulk_acts_act_check CHECK (act IN ('resend', 'switch', 'correct', 'revoke', 'extend')) NOT VALID;

-- +goose Down
DELETE FROM bulk_acts WHERE act = 'extend';
ALTER TABLE bulk_acts
    DROP COLUMN valid_for_s,
    DROP CONSTRAINT bulk_acts_act_check,
    ADD CONSTRAINT bulk_acts_act_check CHECK (act IN ('resend', 'switch', 'correct', 'revoke'));

-- +goose Up

-- Whose message it is: a project may send texts by several providers. What was
-- noted before, and what a process of the release before notes meanwhile, is
-- Twilio's.
ALTER TABLE redactions ADD COLUMN provider text NOT NULL DEFAULT 'twilio';

-- +goose Down
ALTER TABLE redactions DROP COLUMN provider;

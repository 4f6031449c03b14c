-- +goose Up

-- What support staff look for and home counts, beside what has an index
-- already. Each holds few rows, and an accepted invite is in none of them: who
-- asked for a resend, which account came of it, whose connection failed.
CREATE INDEX events_resent_by ON events ((data ->> 'request_id')) WHERE type = 'resent';
CREATE INDEX invites_account ON invites (project_id, livemode, account_id) WHERE account_id <> '';
CREATE INDEX invites_connect_failed ON invites (project_id, livemode, id DESC) WHERE progress = 'connect_failed';

-- +goose Down
DROP INDEX events_resent_by, invites_account, invites_connect_failed;

-- +goose Up

-- Any provider may post callbacks; the names of vendors are known to the program
-- only. NOT VALID: rows from before hold names that satisfy it, and checking them
-- would lock the table while it is read.
ALTER TABLE callbacks DROP CONSTRAINT callbacks_provider_check;
ALTER TABLE callbacks ADD CONSTRAINT callbacks_provider_name CHECK (provider ~ '^[a-z][a-z0-9_]{0,31}$') NOT VALID;

-- +goose Down
DELETE FROM callbacks WHERE provider NOT IN ('pipedream', 'sendgrid', 'twilio');
ALTER TABLE callbacks DROP CONSTRAINT callbacks_provider_name;
ALTER TABLE callbacks ADD CONSTRAINT callbacks_provider_check CHECK (provider IN ('pipedream', 'sendgrid', 'twilio'));

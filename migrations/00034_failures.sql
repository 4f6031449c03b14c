-- +goose Up

-- What is known of a message's failure, whether it stands or a later delivery
-- does, and when it was last delivered: three facts end alike in any order. The
-- members are status, reason, code, provider and at, without an address.
ALTER TABLE deliveries
    ADD COLUMN failure      jsonb,
    ADD COLUMN delivered_at timestamptz;
-- The person unsubscribed at the mail provider.
ALTER TABLE suppressions DROP CONSTRAINT suppressions_kind_check;
ALTER TABLE suppressions ADD CONSTRAINT suppressions_kind_check
    CHECK (kind IN ('hard_bounce', 'spam_report', 'opt_out', 'unsubscribed', 'bad_number', 'not_me', 'by_hand')) NOT VALID;

-- +goose Down
ALTER TABLE suppressions DROP CONSTRAINT suppressions_kind_check;
UPDATE suppressions SET kind = 'by_hand' WHERE kind = 'unsubscribed';
ALTER TABLE suppressions ADD CONSTRAINT suppressions_kind_check
    CHECK (kind IN ('hard_bounce', 'spam_report', 'opt_out', 'bad_number', 'not_me', 'by_hand'));
ALTER TABLE deliveries DROP COLUMN failure, DROP COLUMN delivered_at;

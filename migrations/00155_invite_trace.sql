-- +goose Up

-- The context of the invite's trace, for any process to continue it: trace id, span
-- id, flags of W3C Trace Context. Null: nothing was traced. Added as null, the column
-- takes no rewrite; NOT VALID spares the scan of rows that have none.
ALTER TABLE invites ADD COLUMN trace bytea;
ALTER TABLE invites ADD CONSTRAINT invites_trace CHECK (octet_length(trace) = 25) NOT VALID;

-- +goose Down
ALTER TABLE invites DROP COLUMN trace;

-- +goose Up
-- The number of the invite's last event when the attempt began: its place on the
-- timeline, now that beginning an attempt stores no event of its own. Null: an
-- earlier version began it, and stored one.
ALTER TABLE attempts ADD COLUMN after_seq integer;

-- +goose Down
ALTER TABLE attempts DROP COLUMN after_seq;

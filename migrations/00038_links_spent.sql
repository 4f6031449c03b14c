-- +goose Up

-- When a connect link was seen to be used: the person came back from Pipedream, or
-- its webhook came. Pipedream answers a spent token with a dead end.
ALTER TABLE connect_links ADD COLUMN spent_at timestamptz;

-- +goose Down
ALTER TABLE connect_links DROP COLUMN spent_at;

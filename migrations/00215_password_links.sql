-- +goose Up

-- Links by which a colleague sets their own password, beside those that sign in once. Their
-- digest is made in another way, so that an instance of an earlier release, which does not
-- know the column, does not sign in by one.
ALTER TABLE staff_links ADD COLUMN purpose text NOT NULL DEFAULT 'sign_in' CHECK (purpose IN ('sign_in', 'password'));

-- +goose Down
DELETE FROM staff_links WHERE purpose = 'password';
ALTER TABLE staff_links DROP COLUMN purpose;

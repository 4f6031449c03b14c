-- +goose Up

-- Most logos of the catalogue are SVG. A constant default: the table is not written again.
ALTER TABLE app_logos ADD COLUMN media_type text NOT NULL DEFAULT 'image/png' CHECK (media_type IN ('image/png', 'image/svg+xml'));

-- +goose Down
UPDATE app_logos SET image = NULL, digest = '' WHERE media_type <> 'image/png';
ALTER TABLE app_logos DROP COLUMN media_type;

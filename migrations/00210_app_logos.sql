-- +goose Up

-- Pictures of the apps to connect, as the catalogue names them: public files, each
-- once however many invites and projects show it. No row is about a person.
CREATE TABLE app_logos (
    source    text        PRIMARY KEY CHECK (octet_length(source) <= 1000), -- its address in the catalogue
    digest    text        NOT NULL DEFAULT '', -- of image; empty: there is none
    image     bytea       CHECK (octet_length(image) <= 65536), -- PNG, drawn by this service
    wanted_at timestamptz NOT NULL DEFAULT now(), -- when an app with it was last read from the catalogue
    next_at   timestamptz NOT NULL -- no process fetches it before
);
CREATE INDEX app_logos_digest ON app_logos (digest);

-- +goose Down
DROP TABLE app_logos;

-- +goose Up

-- Filters of the list of invites that staff named, for themselves or for the team.
CREATE TABLE saved_views (
    project_id text        NOT NULL,
    livemode   boolean     NOT NULL,
    id         uuid        NOT NULL,
    staff_id   uuid        NOT NULL REFERENCES staff ON DELETE CASCADE,
    team       boolean     NOT NULL,
    content    bytea       NOT NULL, -- sealed: the name and the filter
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, livemode, id)
);
CREATE INDEX saved_views_staff ON saved_views (staff_id, project_id, livemode) WHERE NOT team;
CREATE INDEX saved_views_team ON saved_views (project_id, livemode) WHERE team;

-- +goose Down
DROP TABLE saved_views;

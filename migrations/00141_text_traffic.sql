-- +goose Up

-- Text messages of live mode that were sent to people who had not visited before, and
-- how many of them people visited: by project, area (a country's code, or the first
-- digits of numbers) and five minutes of sending. Rows are kept for about a day and
-- then added to the baseline of the country.
CREATE TABLE text_traffic (
    project_id text        NOT NULL,
    area       text        NOT NULL,
    country    text        NOT NULL, -- the area itself, or the country of the numbers
    bucket     timestamptz NOT NULL,
    sent       integer     NOT NULL DEFAULT 0,
    offset_s   bigint      NOT NULL DEFAULT 0, -- sum of the seconds between the bucket's start and each message
    visits     integer[]   NOT NULL DEFAULT '{0,0,0,0,0,0,0}', -- by the delay of the visit, the shortest first
    PRIMARY KEY (project_id, area, bucket)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX text_traffic_bucket ON text_traffic (bucket, project_id, area);

-- What a country's messages usually come to, learned from the project's own history: by
-- the three hours of the day (UTC) in which they were sent. Older messages weigh less.
CREATE TABLE text_baselines (
    project_id text             NOT NULL,
    country    text             NOT NULL,
    slot       smallint         NOT NULL CHECK (slot BETWEEN 0 AND 7),
    sent       double precision NOT NULL,
    visits     double precision[] NOT NULL,
    learned_at timestamptz      NOT NULL,
    PRIMARY KEY (project_id, country, slot)
);

-- +goose Down
DROP TABLE text_baselines;
DROP TABLE text_traffic;

-- +goose Up

-- Numbers of what happened, per project and mode. A job follows the public events and the
-- failures of the timeline and adds them up, in the transaction that moves its cursors:
-- each event counts once. No statement of a request writes here.

-- The lock of the job, and how far it is. Rows exist for configured projects.
CREATE TABLE count_places (
    project_id  text        NOT NULL,
    livemode    boolean     NOT NULL,
    complete_at timestamptz NOT NULL, -- events committed before this are counted
    mark        xid8        NOT NULL, -- transactions before it were begun before marked_at
    marked_at   timestamptz NOT NULL,
    PRIMARY KEY (project_id, livemode)
);

-- The last event that was counted, of each type.
CREATE TABLE count_cursors (
    project_id text    NOT NULL,
    livemode   boolean NOT NULL,
    feed       text    NOT NULL, -- a type of public event, or failures
    xact       xid8    NOT NULL,
    id         uuid    NOT NULL,
    PRIMARY KEY (project_id, livemode, feed)
);

-- How far the invites of a day in UTC got: by the channel of their creation and the app.
-- An invite that got to one step also counts in those before it.
CREATE TABLE invite_counts (
    project_id    text      NOT NULL,
    livemode      boolean   NOT NULL,
    day           date      NOT NULL, -- of creation
    channel       text      NOT NULL,
    app_slug      text      NOT NULL,
    created       integer   NOT NULL DEFAULT 0,
    sent          integer   NOT NULL DEFAULT 0,
    delivered     integer   NOT NULL DEFAULT 0,
    opened        integer   NOT NULL DEFAULT 0,
    continued     integer   NOT NULL DEFAULT 0,
    connected     integer   NOT NULL DEFAULT 0,
    connect_times integer[] NOT NULL, -- connected invites by the time from creation, the shortest first
    PRIMARY KEY (project_id, livemode, day, channel, app_slug)
);

-- Events by the quarter of an hour in which they happened.
CREATE TABLE event_counts (
    project_id text        NOT NULL,
    livemode   boolean     NOT NULL,
    bucket     timestamptz NOT NULL,
    type       text        NOT NULL,
    n          integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, livemode, type, bucket)
);

-- Outcomes of messages by provider and quarter of an hour. The domain is empty for all
-- recipients of the provider, else one of a fixed list of mailbox providers: a domain of
-- one person's own is stored nowhere.
CREATE TABLE message_counts (
    project_id    text        NOT NULL,
    livemode      boolean     NOT NULL,
    bucket        timestamptz NOT NULL,
    provider      text        NOT NULL, -- pipedream: requests for connect links
    domain        text        NOT NULL,
    accepted      integer     NOT NULL DEFAULT 0,
    delivered     integer     NOT NULL DEFAULT 0,
    failed        integer     NOT NULL DEFAULT 0, -- did not arrive
    deferred      integer     NOT NULL DEFAULT 0,
    refused       integer     NOT NULL DEFAULT 0, -- calls that failed and are tried again
    accept_times  integer[]   NOT NULL, -- from when it could be sent, the shortest first
    deliver_times integer[]   NOT NULL,
    PRIMARY KEY (project_id, livemode, domain, bucket, provider)
);

-- The queue of a channel, once a minute: the longest that a message was due.
CREATE TABLE queue_samples (
    project_id text        NOT NULL,
    livemode   boolean     NOT NULL,
    channel    text        NOT NULL,
    at         timestamptz NOT NULL,
    due        integer     NOT NULL,
    oldest_s   integer     NOT NULL,
    PRIMARY KEY (project_id, livemode, channel, at)
);

-- Excursions over a threshold. One that is open has no end.
CREATE TABLE excursions (
    id          uuid        PRIMARY KEY,
    project_id  text        NOT NULL,
    livemode    boolean     NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('bounce_rate', 'queue_age', 'connect_failures')),
    value       double precision NOT NULL, -- when it was raised: percent, or seconds
    threshold   double precision NOT NULL,
    raised_at   timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz
);
CREATE UNIQUE INDEX excursions_open ON excursions (project_id, livemode, kind) WHERE resolved_at IS NULL;

-- +goose Down
DROP TABLE excursions, queue_samples, message_counts, event_counts, invite_counts, count_cursors, count_places;

-- +goose Up

-- When a restore of the database to an earlier time was declared while the delivery was
-- queued: it may have been sent after that time. Null: none was, or it was found unsent.
ALTER TABLE deliveries ADD COLUMN restored_at timestamptz;

-- The server that processes last worked on: after a restore it is another one, or its
-- timeline is a later one.
CREATE TABLE database_identity (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    system      text        NOT NULL, -- the cluster's system identifier
    timeline    integer     NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

-- Restores that were declared, with what may have been sent after the earlier time.
CREATE TABLE restores (
    id          uuid        PRIMARY KEY,
    declared_at timestamptz NOT NULL DEFAULT now(),
    deliveries  integer     NOT NULL CHECK (deliveries >= 0),
    reminders   integer     NOT NULL CHECK (reminders >= 0),
    fallbacks   integer     NOT NULL CHECK (fallbacks >= 0)
);

-- +goose Down
DROP TABLE restores;
DROP TABLE database_identity;
ALTER TABLE deliveries DROP COLUMN restored_at;

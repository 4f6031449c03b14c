-- +goose Up

-- Records that staff keep beside an invite. They are apart from invites: a table that has a row only
-- where an invite has an owner has an index as short as a partial one, which a list
-- needs no statistics to use, and the rows of all other invites stay as they are.

-- The owner of an invite, for a time.
CREATE TABLE invite_owners (
    invite_id  uuid        PRIMARY KEY REFERENCES invites ON DELETE CASCADE,
    project_id text        NOT NULL,
    livemode   boolean     NOT NULL,
    staff_id   uuid        NOT NULL,
    taken_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invite_owners_staff ON invite_owners (staff_id, project_id, livemode, invite_id);

-- Notes of colleagues about it, sealed.
CREATE TABLE invite_notes (
    id         uuid        PRIMARY KEY,
    invite_id  uuid        NOT NULL REFERENCES invites ON DELETE CASCADE,
    staff_id   uuid        NOT NULL,
    text       bytea       NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX invite_notes_invite ON invite_notes (invite_id, id);

-- +goose Down
DROP TABLE invite_notes;
DROP TABLE invite_owners;

-- +goose Up

-- Who may use the console. A person is known by a keyed hash of what signs them
-- in (issuer and subject, or the address of a local account); name and address
-- are sealed.
CREATE TABLE staff (
    id            uuid PRIMARY KEY,
    kind          text        NOT NULL CHECK (kind IN ('oidc', 'local', 'link')),
    login_hash    bytea       NOT NULL UNIQUE,
    profile       bytea       NOT NULL, -- sealed
    password      text        NOT NULL DEFAULT '', -- argon2id in PHC form; of local accounts
    failures      integer     NOT NULL DEFAULT 0, -- wrong passwords in a row
    locked_until  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    signed_in_at  timestamptz,
    disabled_at   timestamptz
);

-- What they may, where. '*' is every project, those of tomorrow too.
CREATE TABLE staff_roles (
    staff_id   uuid NOT NULL REFERENCES staff ON DELETE CASCADE,
    project_id text NOT NULL,
    role       text NOT NULL CHECK (role IN ('viewer', 'agent', 'lead', 'admin')),
    PRIMARY KEY (staff_id, project_id)
);

-- One row per signed-in browser. The cookie's token is stored as a digest. A
-- session that ended stays for a while, to say why.
CREATE TABLE staff_sessions (
    id         uuid PRIMARY KEY,
    staff_id   uuid        NOT NULL REFERENCES staff ON DELETE CASCADE,
    digest     bytea       NOT NULL UNIQUE,
    method     text        NOT NULL CHECK (method IN ('oidc', 'password', 'link')),
    device     text        NOT NULL DEFAULT '', -- a class such as "Firefox on Linux", never a user agent
    flash      text        NOT NULL DEFAULT '', -- what the next page says once
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    ended_why  text        NOT NULL DEFAULT '' CHECK (ended_why IN ('', 'signed_out', 'revoked', 'replaced', 'disabled'))
);
CREATE INDEX staff_sessions_of ON staff_sessions (staff_id, id DESC);
CREATE INDEX staff_sessions_old ON staff_sessions (seen_at);

-- Links that sign in once: dev prints one, an operator can make one.
CREATE TABLE staff_links (
    digest     bytea PRIMARY KEY,
    staff_id   uuid        NOT NULL REFERENCES staff ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

-- Who did what. Ids and keyed hashes only: an entry outlives what it is about,
-- erasure included, so nothing here may be personal. Nothing refers to other
-- tables for the same reason.
CREATE TABLE audit (
    id          uuid PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    project_id  text        NOT NULL, -- '' for what concerns all
    livemode    boolean     NOT NULL,
    actor       text        NOT NULL, -- "staff:stf_…", "system"
    act         text        NOT NULL,
    target      text        NOT NULL DEFAULT '', -- an id
    invite_id   uuid,       -- the invite it concerns, for that invite's page
    why         text        NOT NULL DEFAULT '', -- of a pick list, never free text
    data        jsonb       NOT NULL DEFAULT '{}',
    session_id  uuid,
    request_id  text        NOT NULL DEFAULT '',
    place       bytea       -- keyed hash of the client's address
);
CREATE INDEX audit_list ON audit (project_id, livemode, id DESC);
CREATE INDEX audit_actor ON audit (actor, id DESC);
CREATE INDEX audit_invite ON audit (invite_id, id DESC) WHERE invite_id IS NOT NULL;
CREATE INDEX audit_target ON audit (target, id DESC) WHERE target <> '';

-- Append-only. The grants stop this role, which owns the table; an owner could
-- grant them to itself again, and a superuser is not asked for grants at all, so
-- a trigger refuses as well. Who wants more than that gives the table to a role
-- that the service cannot become (docs/operations.md).
REVOKE ALL ON audit FROM PUBLIC;
REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM CURRENT_USER;
-- +goose StatementBegin
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_append_only;

-- A lane that somebody stopped by hand. paused_until is the breaker's, which
-- opens and closes by itself; this one stays until somebody takes it away.
ALTER TABLE lanes
    ADD COLUMN held_at  timestamptz,
    ADD COLUMN held_by  text NOT NULL DEFAULT '',
    ADD COLUMN held_why text NOT NULL DEFAULT ''; -- of a pick list

-- +goose Down
ALTER TABLE lanes DROP COLUMN held_at, DROP COLUMN held_by, DROP COLUMN held_why;
DROP TABLE audit;
DROP FUNCTION audit_is_append_only;
DROP TABLE staff_links, staff_sessions, staff_roles, staff;

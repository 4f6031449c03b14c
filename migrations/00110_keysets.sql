-- +goose Up

-- Which keys the running processes hold. A value must not be sealed under a key that
-- one of them lacks, and a key must not be retired while one of them writes with it.
CREATE TABLE keyset_processes (
    process uuid PRIMARY KEY,
    sealing bigint[]    NOT NULL, -- ids of keys, the primary key first
    hashing bigint[]    NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- Every key that processes ever wrote with. Rows of a key that is in no keyset any
-- more cannot be opened or found.
CREATE TABLE keyset_keys (
    half       text        NOT NULL CHECK (half IN ('sealing', 'hashing')),
    key_id     bigint      NOT NULL,
    first_at   timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz NOT NULL DEFAULT now(), -- when a process last had it as primary key
    cleared_at timestamptz, -- when no row of the key was left
    PRIMARY KEY (half, key_id)
);

-- How far re-sealing is, by table. A pass goes over the blocks that the table had when
-- the pass began; rows that move meanwhile are found by the next pass.
CREATE TABLE reseals (
    table_name  text PRIMARY KEY,
    sealing_key bigint      NOT NULL, -- the keys that rows are renewed with
    hashing_key bigint      NOT NULL,
    pass        integer     NOT NULL DEFAULT 1,
    block       bigint      NOT NULL DEFAULT 0, -- the next one
    blocks      bigint      NOT NULL DEFAULT 0, -- of the pass
    renewed     bigint      NOT NULL DEFAULT 0, -- rows, over all passes
    skipped     bigint      NOT NULL DEFAULT 0, -- rows that the pass could not renew
    started_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz -- when a pass found no row to renew
);

-- Of a suppression whose person was erased: the digest of what hash is a keyed hash
-- of, sealed, so that hash can be renewed without the address.
ALTER TABLE suppressions ADD COLUMN seed bytea;

-- What login_hash is a keyed hash of, sealed; null for accounts of single sign-on that
-- have not signed in since this column exists.
ALTER TABLE staff ADD COLUMN login bytea;

-- +goose Down
ALTER TABLE staff DROP COLUMN login;
ALTER TABLE suppressions DROP COLUMN seed;
DROP TABLE reseals, keyset_keys, keyset_processes;

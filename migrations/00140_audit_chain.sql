-- +goose NO TRANSACTION
-- +goose Up

-- A hash chain over the audit log: the hash of an entry covers its values and the hash
-- before it. A job appends to it, in one process at a time, so that acts do not wait
-- for one another. Its order is its own: entries commit in any order.
CREATE TABLE IF NOT EXISTS audit_chain (
    number     bigint      PRIMARY KEY, -- from 1, without gaps
    entry_id   uuid        NOT NULL UNIQUE,
    hash       bytea       NOT NULL CHECK (length(hash) = 32),
    chained_at timestamptz NOT NULL DEFAULT now()
);

-- The last hash of each day in UTC on which entries were chained, for keeping elsewhere.
CREATE TABLE IF NOT EXISTS audit_heads (
    day    date   PRIMARY KEY,
    number bigint NOT NULL,
    hash   bytea  NOT NULL
);

-- Entries that are not in the chain yet. An entry in neither is a fault.
CREATE TABLE IF NOT EXISTS audit_pending (
    entry_id uuid PRIMARY KEY
);

REVOKE ALL ON audit_chain, audit_heads FROM PUBLIC;
REVOKE UPDATE, DELETE, TRUNCATE ON audit_chain, audit_heads FROM CURRENT_USER;
CREATE OR REPLACE TRIGGER audit_chain_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
ALTER TABLE audit_chain ENABLE ALWAYS TRIGGER audit_chain_append_only;
CREATE OR REPLACE TRIGGER audit_heads_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
ALTER TABLE audit_heads ENABLE ALWAYS TRIGGER audit_heads_append_only;

-- With the owner's rights: a program whose role has none on this table yet can go on
-- adding entries.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_add_pending() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO audit_pending (entry_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE OR REPLACE TRIGGER audit_pending_add AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_add_pending();
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_pending_add;

-- Entries of earlier versions are chained too. The trigger comes first: what is written
-- meanwhile is added by it.
INSERT INTO audit_pending (entry_id) SELECT id FROM audit ON CONFLICT DO NOTHING;

-- +goose Down
DROP TRIGGER audit_pending_add ON audit;
DROP FUNCTION audit_add_pending;
DROP TABLE audit_chain, audit_heads, audit_pending;

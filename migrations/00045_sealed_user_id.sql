-- +goose Up

-- The product's id of the user, sealed, where the project's seal_external_user_id
-- was set when the invite was made. external_user_id is a placeholder there, made
-- of user_hash. Null: external_user_id is the id itself, or the mark of an erased one.
-- Invites without a hash are compared by external_user_id, which a sealed one must
-- never be. NOT VALID: no row is sealed yet.
ALTER TABLE invites
    ADD COLUMN sealed_user_id bytea,
    ADD CONSTRAINT invites_sealed_is_hashed CHECK (sealed_user_id IS NULL OR user_hash IS NOT NULL) NOT VALID;

-- +goose Down
-- The ids of sealed invites are lost.
ALTER TABLE invites DROP CONSTRAINT invites_sealed_is_hashed, DROP COLUMN sealed_user_id;

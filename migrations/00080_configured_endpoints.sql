-- +goose Up

-- The webhook of the configuration is an endpoint too: one row for each mode, written by
-- the process that starts. A process of an earlier version posts to it as to the others.
ALTER TABLE webhook_endpoints ADD COLUMN managed_by text NOT NULL DEFAULT 'api' CHECK (managed_by IN ('api', 'configuration'));
CREATE UNIQUE INDEX webhook_endpoints_configured ON webhook_endpoints (project_id, livemode) WHERE managed_by = 'configuration';

-- +goose Down
DELETE FROM webhook_endpoints WHERE managed_by = 'configuration';
ALTER TABLE webhook_endpoints DROP COLUMN managed_by;

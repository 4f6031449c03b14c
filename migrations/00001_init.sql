-- +goose Up

-- Who may call the API. A key is 250 bits of randomness, so a plain SHA-256
-- is enough to look it up; the key itself is stored nowhere.
CREATE TABLE api_keys (
    id            uuid PRIMARY KEY,
    project_id    text        NOT NULL,
    name          text        NOT NULL,
    digest        bytea       NOT NULL UNIQUE,
    hint          text        NOT NULL, -- last four characters, to tell keys apart
    livemode      boolean     NOT NULL,
    environment   text        NOT NULL CHECK (environment IN ('development', 'production')),
    scopes        text[]      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz,
    expires_at    timestamptz,
    revoked_at    timestamptz
);

-- One request to connect one account. Everything personal sits sealed in
-- content; what the machine decides by sits beside it in plain columns.
CREATE TABLE invites (
    id                  uuid PRIMARY KEY,
    project_id          text        NOT NULL,
    livemode            boolean     NOT NULL,
    environment         text        NOT NULL CHECK (environment IN ('development', 'production')),
    status              text        NOT NULL CHECK (status IN ('scheduled', 'pending', 'active', 'connected', 'expired', 'revoked', 'failed')),
    progress            text        NOT NULL CHECK (progress IN ('none', 'visited', 'continued', 'connect_failed')),
    channel             text        NOT NULL CHECK (channel IN ('email', 'sms', 'link')),
    link_type           text        NOT NULL CHECK (link_type IN ('invite', 'connect')),
    initiated_by        text        NOT NULL CHECK (initiated_by IN ('product', 'user')),
    external_user_id    text        NOT NULL,
    app_slug            text        NOT NULL,
    app_name            text        NOT NULL,
    app_logo_url        text        NOT NULL DEFAULT '',
    app_auth_type       text        NOT NULL DEFAULT '',
    oauth_app_id        text        NOT NULL DEFAULT '',
    content             bytea,      -- sealed; null once erased
    expires_in_s        integer     NOT NULL CHECK (expires_in_s BETWEEN 1 AND 14400),
    valid_for_s         integer     CHECK (valid_for_s BETWEEN 1 AND 2592000),
    expires_at          timestamptz, -- null until the first mint, unless valid_for is given
    gives_up_at         timestamptz NOT NULL, -- = expires_at where that is known; bounds an invite that never gets a link
    seq                 integer     NOT NULL, -- number of the last event, and the caller's version
    resend_count        integer     NOT NULL DEFAULT 0,
    replaced_by         uuid,
    account_id          text        NOT NULL DEFAULT '',
    account_name        bytea,      -- sealed
    connected_at        timestamptz,
    first_handed_out_at timestamptz, -- the connect link left our hands: from here on an account may appear
    last_handed_out_at  timestamptz,
    poll_at             timestamptz, -- next look at Pipedream's accounts; null when there is nothing to look for
    poll_count          integer     NOT NULL DEFAULT 0,
    poll_until          timestamptz,
    wiped_at            timestamptz, -- links and codes are gone, hashes stay
    created_by          uuid        NOT NULL,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    revoked_at          timestamptz
) WITH (fillfactor = 85);

CREATE INDEX invites_list ON invites (project_id, livemode, id DESC);
-- The few that need a look, among millions. An invite that goes well is never in it, so accepting one costs nothing more.
CREATE INDEX invites_rare ON invites (project_id, livemode, status, id DESC) WHERE status IN ('failed', 'pending', 'scheduled', 'revoked');
CREATE INDEX invites_person ON invites (project_id, livemode, external_user_id, app_slug, id DESC);
CREATE INDEX invites_overdue ON invites (gives_up_at) WHERE wiped_at IS NULL;
CREATE INDEX invites_poll ON invites (poll_at) WHERE poll_at IS NOT NULL;

-- One row per mint. The bare token is stored nowhere but inside the sealed URL.
CREATE TABLE connect_links (
    invite_id      uuid        NOT NULL REFERENCES invites ON DELETE CASCADE,
    id             uuid        NOT NULL,
    url            bytea,      -- sealed; null once wiped or dropped
    token_digest   bytea       NOT NULL,
    webhook_digest bytea       NOT NULL, -- of the unguessable part of webhook_uri
    granted_s      integer     NOT NULL,
    expires_at     timestamptz NOT NULL, -- in this database's time
    expires_at_raw text        NOT NULL, -- as Pipedream wrote it
    minted_at      timestamptz NOT NULL,
    handed_out_at  timestamptz,
    PRIMARY KEY (invite_id, id)
);
CREATE UNIQUE INDEX connect_links_token ON connect_links (token_digest);
CREATE UNIQUE INDEX connect_links_webhook ON connect_links (webhook_digest);

-- One message to one recipient: queue and truth in one row (a leased outbox).
CREATE TABLE deliveries (
    invite_id     uuid        NOT NULL REFERENCES invites ON DELETE CASCADE,
    id            uuid        NOT NULL,
    number        integer     NOT NULL, -- 1 for the first, then one per resend
    project_id    text        NOT NULL,
    livemode      boolean     NOT NULL,
    channel       text        NOT NULL CHECK (channel IN ('email', 'sms')),
    kind          text        NOT NULL CHECK (kind IN ('first', 'resend')),
    status        text        NOT NULL CHECK (status IN ('queued', 'sending', 'accepted', 'sent', 'delivered', 'deferred', 'bounced',
                                  'undelivered', 'rejected', 'suppressed', 'complained', 'canceled', 'unknown')),
    ended_at      timestamptz, -- the provider's own time of the end that stands; decides between two ends
    reason        text        NOT NULL DEFAULT '',
    provider_code text        NOT NULL DEFAULT '',
    provider      text        NOT NULL DEFAULT '',
    lane          text        NOT NULL,
    next_at       timestamptz, -- due, or the end of the lease; null when nothing is left to do
    lease_token   bigint      NOT NULL DEFAULT 0,
    lease_owner   bigint,     -- advisory lock key of the process that holds the lease
    attempts      integer     NOT NULL DEFAULT 0,
    poisoned      integer     NOT NULL DEFAULT 0, -- panics and template errors in a row
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (invite_id, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX deliveries_due ON deliveries (lane, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_leased ON deliveries (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX deliveries_id ON deliveries (id); -- GET /v1/deliveries/{id}

-- The lanes that exist, so that a claim can go round them without reading the queue.
CREATE TABLE lanes (
    lane         text PRIMARY KEY, -- project/channel/mode
    paused_until timestamptz
);

-- One call to a provider, committed before the call.
CREATE TABLE attempts (
    invite_id           uuid        NOT NULL,
    delivery_id         uuid        NOT NULL,
    id                  uuid        NOT NULL,
    number              integer     NOT NULL,
    provider            text        NOT NULL,
    account             text        NOT NULL, -- provider account, for breaker and pacing
    template_version    text        NOT NULL,
    lease_token         bigint      NOT NULL,
    outcome             text        NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'accepted', 'not_sent', 'refused', 'unknown', 'abandoned')),
    started_at          timestamptz NOT NULL,
    finished_at         timestamptz,
    provider_message_id text        NOT NULL DEFAULT '',
    http_status         integer     NOT NULL DEFAULT 0,
    provider_code       text        NOT NULL DEFAULT '',
    detail              bytea,      -- sealed: the provider's words may quote the address
    PRIMARY KEY (invite_id, id),
    FOREIGN KEY (invite_id, delivery_id) REFERENCES deliveries ON DELETE CASCADE
);
CREATE INDEX attempts_provider_message ON attempts (provider_message_id) WHERE provider_message_id <> '';

-- What an invite link's code leads to. Hashes outlive the codes, so that an old link shows the right page.
CREATE TABLE codes (
    invite_id   uuid        NOT NULL REFERENCES invites ON DELETE CASCADE,
    id          uuid        NOT NULL,
    delivery_id uuid,       -- null for channel link
    digest      bytea       NOT NULL,
    code        bytea,      -- sealed; null once wiped
    retired_at  timestamptz, -- a corrected address: shows "cancelled" from then on
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (invite_id, id)
);
CREATE UNIQUE INDEX codes_digest ON codes (digest);

-- The timeline. data holds ids and codes only; words of people and providers are sealed.
CREATE TABLE events (
    invite_id   uuid        NOT NULL REFERENCES invites ON DELETE CASCADE,
    seq         integer     NOT NULL,
    id          uuid        NOT NULL,
    project_id  text        NOT NULL,
    livemode    boolean     NOT NULL,
    type        text        NOT NULL,
    actor       text        NOT NULL,
    actor_id    text        NOT NULL DEFAULT '',
    delivery_id uuid,
    attempt_id  uuid,
    link_id     uuid,
    data        jsonb       NOT NULL DEFAULT '{}',
    detail      bytea,      -- sealed
    occurred_at timestamptz NOT NULL, -- when it happened, as the one who saw it says
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- A feed reads only below pg_snapshot_xmin, ordered by (txid, …): else a
    -- transaction that commits late would be skipped for ever.
    txid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (invite_id, seq)
);

CREATE TABLE idempotency (
    key_id     uuid        NOT NULL,
    route      text        NOT NULL,
    key_hash   bytea       NOT NULL,
    body_mac   bytea       NOT NULL,
    invite_id  uuid        NOT NULL,
    status     integer     NOT NULL, -- the HTTP status that was answered
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key_id, route, key_hash)
);
CREATE INDEX idempotency_old ON idempotency (created_at);

-- Keyed hashes by which support finds an invite. The hash covers project,
-- mode and kind of term, so one key can never find another project's invite.
CREATE TABLE search_terms (
    hash      bytea NOT NULL,
    invite_id uuid  NOT NULL REFERENCES invites ON DELETE CASCADE,
    PRIMARY KEY (hash, invite_id)
);
CREATE INDEX search_terms_invite ON search_terms (invite_id);

-- Callbacks as they came (sealed, 30 days), and a guard that makes copies harmless (8 days).
CREATE TABLE callbacks (
    id          uuid PRIMARY KEY,
    provider    text        NOT NULL CHECK (provider IN ('pipedream', 'sendgrid', 'twilio')),
    invite_id   uuid,
    received_at timestamptz NOT NULL DEFAULT now(),
    body        bytea       NOT NULL
);
CREATE INDEX callbacks_old ON callbacks (received_at);

CREATE TABLE seen (
    source  text        NOT NULL,
    key     bytea       NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, key)
);
CREATE INDEX seen_old ON seen (seen_at);

-- +goose Down
DROP TABLE seen, callbacks, search_terms, idempotency, events, codes, attempts, lanes, deliveries, connect_links, invites, api_keys;

-- +goose Up

-- What live keys, staff and the service sent, as far as a limit counts it. A row of
-- a person (day 1970-01-01) holds the times of the messages of the last 24 hours,
-- so that a limit holds in any hour and any day; the other rows hold the sums of
-- one day in UTC. All rows of a request are written in the order of the key, which
-- is the order of locks.
CREATE TABLE sending_uses (
    scope       text    NOT NULL,
    subject     bytea   NOT NULL, -- a keyed hash of a person, or a name as text
    day         date    NOT NULL,
    messages    bigint  NOT NULL DEFAULT 0,
    cost        bigint  NOT NULL DEFAULT 0, -- in millionths of the price table's currency
    times       timestamptz[],
    extra       integer NOT NULL DEFAULT 0, -- messages that staff granted a person beyond the limit
    extra_until timestamptz,
    used_at     timestamptz NOT NULL DEFAULT now(),
    -- Of the latest statement, for itself: the position among its uses, and what it added.
    use         integer,
    added       bigint,
    added_cost  bigint,
    PRIMARY KEY (scope, subject, day)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- The sums of a day, beside which the rows of people are many. The predicate names a
-- column that no update changes, so that updates stay within their page.
CREATE INDEX sending_uses_day ON sending_uses (day, scope, subject) WHERE day > date '1970-01-01';

-- refuse_use fails the statement that would exceed a limit, so that nothing of it is
-- stored. The detail names no person: use is the position among the uses of the
-- statement.
-- +goose StatementBegin
CREATE FUNCTION refuse_use(use bigint, used bigint, free_at timestamptz, measure text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RAISE EXCEPTION 'a sending limit is reached' USING ERRCODE = 'CL429',
		DETAIL = json_build_object('use', use, 'used', used, 'measure', measure,
			'free_in_s', ceil(extract(epoch FROM free_at - now())))::text;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION refuse_use(bigint, bigint, timestamptz, text);
DROP TABLE sending_uses;

-- +goose Up

-- Texts of messages that staff replaced: one row a change, which stays as it is. The
-- latest of a language and situation counts; empty texts are those of the templates.
CREATE TABLE message_wordings (
    project_id text        NOT NULL,
    livemode   boolean     NOT NULL,
    version    bigint      NOT NULL, -- counts the changes of the project and mode, without a gap
    language   text        NOT NULL,
    situation  text        NOT NULL,
    subject    text        NOT NULL,
    lead       text        NOT NULL,
    button     text        NOT NULL,
    did        text        NOT NULL CHECK (did IN ('saved', 'restored', 'copied')),
    of_version bigint,               -- the version that was restored, or that was copied from test mode; 0 is the templates
    author     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, livemode, version)
);
CREATE UNIQUE INDEX message_wordings_slot ON message_wordings (project_id, livemode, language, situation, version);

-- +goose Down
DROP TABLE message_wordings;

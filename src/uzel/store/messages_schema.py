"""The tables of texts, people and search: a part of the profile's first schema.

Rules: `texts.number` is the order of everything and never comes twice. What a list of chats shows is counted by
triggers, in the same change as what it counts, whoever makes it. Ids of received texts outlive the texts. Columns that
may be long stand last, so that what stands before them is read without them. Indexes are made for the questions that
are asked often (tests hold that each is answered by one, without sorting) and are partial where few rows are asked for.
Counterparts: `texts`, `history`, `search`, `people`, `knocks`, `invites`, `journal` and `options`.
"""

from __future__ import annotations

MESSAGE_TABLES = """
CREATE TABLE senders (
    key         INTEGER PRIMARY KEY,
    fingerprint BLOB    NOT NULL UNIQUE CHECK (length(fingerprint) = 32)
) STRICT;

-- Ids of received texts. forget_at is set when the text is deleted; before that an id is never forgotten.
CREATE TABLE seen (
    sender    INTEGER NOT NULL REFERENCES senders (key),
    id        BLOB    NOT NULL CHECK (length(id) = 16),
    forget_at INTEGER,
    PRIMARY KEY (sender, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_to_forget ON seen (forget_at) WHERE forget_at IS NOT NULL;

CREATE TABLE texts (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    chat       INTEGER NOT NULL,
    outgoing   INTEGER NOT NULL CHECK (outgoing IN (0, 1)),
    id         BLOB    NOT NULL CHECK (length(id) = 16),
    sender     INTEGER REFERENCES senders (key),
    reply      BLOB    CHECK (length(reply) = 16),
    at         INTEGER NOT NULL,
    stored_at  INTEGER NOT NULL,
    state      TEXT    NOT NULL
               CHECK (state IN ('queued', 'sending', 'delivered', 'failed', 'cancelled', 'received')),
    changed_at INTEGER NOT NULL,
    sent_as    INTEGER NOT NULL DEFAULT 0 CHECK (sent_as IN (0, 0x30, 0x31)),
    unread     INTEGER NOT NULL CHECK (unread IN (0, 1)),
    handled    INTEGER NOT NULL CHECK (handled IN (0, 1)),
    reason     TEXT    NOT NULL DEFAULT '',
    text       TEXT    NOT NULL,
    CHECK ((state = 'received') = (outgoing = 0)),
    CHECK (state NOT IN ('sending', 'delivered') OR sent_as <> 0)
) STRICT;
CREATE INDEX texts_of_chat ON texts (chat);
CREATE INDEX texts_by_id ON texts (chat, id);
CREATE INDEX texts_by_time ON texts (chat, stored_at);
CREATE INDEX texts_waiting ON texts (chat) WHERE state IN ('queued', 'sending');
CREATE INDEX texts_unread ON texts (chat) WHERE unread = 1;
CREATE INDEX texts_unhandled ON texts (handled) WHERE handled = 0;

-- What a TextRecord is made of, in its order.
CREATE VIEW text_records AS
    SELECT number, chat, outgoing, id, text, reply, at, stored_at, state, reason, changed_at, sent_as, unread, handled
    FROM texts;

-- The greatest id that an own text ever had, also when that text is gone.
CREATE TABLE own_ids (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    last BLOB    NOT NULL CHECK (length(last) = 16)
) STRICT;

-- Words of texts, normalized (see `words`), by number. Nothing but the index is kept.
CREATE VIRTUAL TABLE text_index USING fts5 (
    stems, words, chat,
    content = '', contentless_delete = 1, detail = column, prefix = '1 2 3 4 5', tokenize = 'ascii'
);

CREATE TABLE contacts (
    uin              INTEGER PRIMARY KEY CHECK (uin BETWEEN 1 AND 4294967295),
    name             TEXT    NOT NULL DEFAULT '',
    nodes            TEXT    NOT NULL DEFAULT '',
    invite           BLOB    CHECK (length(invite) <= 256),
    stopped          BLOB    CHECK (length(stopped) = 32),
    speaks_envelopes INTEGER NOT NULL DEFAULT 0 CHECK (speaks_envelopes IN (0, 1)),
    added_at         INTEGER NOT NULL,
    last_seen        INTEGER,
    retention_ms     INTEGER CHECK (retention_ms > 0),
    draft            TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX contacts_with_retention ON contacts (uin) WHERE retention_ms IS NOT NULL;

-- Contacts and strangers alike: a block outlives the contact.
CREATE TABLE blocks (
    uin INTEGER PRIMARY KEY CHECK (uin BETWEEN 1 AND 4294967295),
    at  INTEGER NOT NULL
) STRICT;

CREATE TABLE knocks (
    uin         INTEGER PRIMARY KEY CHECK (uin BETWEEN 1 AND 4294967295),
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    count       INTEGER NOT NULL DEFAULT 1,
    id          BLOB    CHECK (length(id) = 16),
    text        TEXT    NOT NULL
) STRICT;
CREATE INDEX knocks_by_time ON knocks (last_at);

CREATE TABLE invites (
    token_hash BLOB    PRIMARY KEY CHECK (length(token_hash) = 32),
    label      TEXT    NOT NULL,
    made_at    INTEGER NOT NULL,
    expires_at INTEGER,
    uses_left  INTEGER CHECK (uses_left >= 0),
    revoked    INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    data   TEXT    NOT NULL
) STRICT;

CREATE TABLE options (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One for each contact and for each other with whom there are texts. last is NULL when there are none.
CREATE TABLE chats (
    uin     INTEGER PRIMARY KEY,
    last    INTEGER,
    unread  INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX chats_by_last ON chats (last);
CREATE INDEX chats_waiting ON chats (uin) WHERE waiting > 0;

CREATE TRIGGER text_added AFTER INSERT ON texts BEGIN
    INSERT INTO chats (uin, last, unread, waiting)
    VALUES (new.chat, new.number, new.unread, new.state IN ('queued', 'sending'))
    ON CONFLICT DO UPDATE
    SET last = new.number, unread = unread + excluded.unread, waiting = waiting + excluded.waiting;
END;
CREATE TRIGGER text_changed AFTER UPDATE OF state, unread ON texts
WHEN new.unread <> old.unread OR (new.state IN ('queued', 'sending')) <> (old.state IN ('queued', 'sending'))
BEGIN
    UPDATE chats
    SET unread = unread + new.unread - old.unread,
        waiting = waiting + (new.state IN ('queued', 'sending')) - (old.state IN ('queued', 'sending'))
    WHERE uin = new.chat;
END;
CREATE TRIGGER text_removed AFTER DELETE ON texts BEGIN
    UPDATE chats
    SET unread = unread - old.unread, waiting = waiting - (old.state IN ('queued', 'sending'))
    WHERE uin = old.chat;
    UPDATE chats SET last = (SELECT max(number) FROM texts WHERE chat = old.chat)
    WHERE uin = old.chat AND last = old.number;
    DELETE FROM chats
    WHERE uin = old.chat AND last IS NULL AND NOT EXISTS (SELECT 1 FROM contacts WHERE uin = old.chat);
END;
CREATE TRIGGER contact_added AFTER INSERT ON contacts BEGIN
    INSERT INTO chats (uin) VALUES (new.uin) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER contact_removed AFTER DELETE ON contacts BEGIN
    DELETE FROM chats WHERE uin = old.uin AND last IS NULL;
END;
"""
"""Runs once, in the transaction of the step that it belongs to."""

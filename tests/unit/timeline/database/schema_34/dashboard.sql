-- The dashboard's own database: accounts, log-ins, tokens, attempts and its settings.
-- docs/data.md describes each column. Only the dashboard's user reads and writes the file.

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT NOT NULL,
    created INTEGER NOT NULL,
    role TEXT NOT NULL DEFAULT 'viewer'
        CHECK (role IN ('viewer', 'operator', 'researcher', 'administrator')),
    disabled INTEGER,
    must_change INTEGER NOT NULL DEFAULT 0,
    link_hash TEXT,
    link_expires INTEGER,
    second_factor TEXT,
    language TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE login (
    token_hash TEXT PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    address TEXT NOT NULL DEFAULT '',
    browser TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    who TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    created INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    used INTEGER,
    revoked INTEGER,
    role TEXT NOT NULL DEFAULT 'operator'
        CHECK (role IN ('viewer', 'operator', 'researcher', 'administrator')),
    account INTEGER,
    expires INTEGER
) STRICT;

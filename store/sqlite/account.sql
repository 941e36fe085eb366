-- Agencies, people, rights data and sign-in. Times are microseconds since 1970, UTC; 0 means not set.
-- Secrets are kept as hashes only.

CREATE TABLE IF NOT EXISTS account_agency (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  country    TEXT NOT NULL,
  contact    TEXT NOT NULL,
  local      INTEGER NOT NULL,
  public_key BLOB,
  created    INTEGER NOT NULL,
  node       TEXT NOT NULL DEFAULT '',
  old_keys   TEXT NOT NULL DEFAULT '[]' -- JSON: [{"key": base64, "until": time}]
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_community (
  agency    TEXT NOT NULL,
  community TEXT NOT NULL,
  joined    INTEGER NOT NULL DEFAULT 0, -- since when; 0: always
  PRIMARY KEY (agency, community)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_person (
  id       TEXT PRIMARY KEY,
  name     TEXT NOT NULL,
  email    TEXT NOT NULL,
  lang     TEXT NOT NULL,
  theme    TEXT NOT NULL,
  disabled INTEGER NOT NULL,
  created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_grant (
  person TEXT NOT NULL,
  agency TEXT NOT NULL,
  desk   TEXT NOT NULL,
  role   TEXT NOT NULL,
  PRIMARY KEY (person, agency, desk, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_clearance (
  person TEXT NOT NULL,
  caveat TEXT NOT NULL,
  PRIMARY KEY (person, caveat)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_password (
  person TEXT PRIMARY KEY,
  hash   TEXT NOT NULL -- PHC string, argon2id
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_passkey (
  id      BLOB PRIMARY KEY,
  person  TEXT NOT NULL,
  name    TEXT NOT NULL,
  data    BLOB NOT NULL,
  created INTEGER NOT NULL,
  used    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS account_passkey_person ON account_passkey (person);

CREATE TABLE IF NOT EXISTS account_identity (
  provider TEXT NOT NULL,
  subject  TEXT NOT NULL,
  person   TEXT NOT NULL,
  created  INTEGER NOT NULL,
  PRIMARY KEY (provider, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_session (
  hash          BLOB PRIMARY KEY,
  id            TEXT NOT NULL,
  person        TEXT NOT NULL,
  agency        TEXT NOT NULL,
  lang          TEXT NOT NULL,
  purpose       TEXT NOT NULL,
  purpose_until INTEGER NOT NULL,
  method        TEXT NOT NULL,
  address       TEXT NOT NULL,
  agent         TEXT NOT NULL,
  created       INTEGER NOT NULL,
  seen          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS account_session_person ON account_session (person);

CREATE TABLE IF NOT EXISTS account_token (
  hash      BLOB PRIMARY KEY,
  id        TEXT NOT NULL UNIQUE,
  name      TEXT NOT NULL,
  person    TEXT NOT NULL,
  scopes    TEXT NOT NULL, -- separated by spaces
  created   INTEGER NOT NULL,
  expires   INTEGER NOT NULL,
  last_used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS account_token_person ON account_token (person);

CREATE TABLE IF NOT EXISTS account_code (
  hash    BLOB PRIMARY KEY,
  kind    TEXT NOT NULL,
  person  TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_ceremony (
  hash    BLOB PRIMARY KEY,
  kind    TEXT NOT NULL,
  data    BLOB NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_slowed (
  key   BLOB PRIMARY KEY,
  fails INTEGER NOT NULL,
  last  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_known (
  key BLOB PRIMARY KEY,
  at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_secret (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

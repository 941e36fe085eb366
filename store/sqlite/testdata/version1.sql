-- The schema as version 1 had it: what TestFileOfVersion1IsUpgraded begins with. Never edit.
-- The kernel's tables. See ../DESIGN.md for why they are as they are.

CREATE TABLE IF NOT EXISTS setting(name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS follower(name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;

-- Short texts that repeat in every row: agencies, people, kinds, key ids.
CREATE TABLE IF NOT EXISTS name(n INTEGER PRIMARY KEY, s TEXT NOT NULL UNIQUE);

-- The ledger. One row an entry; a change's content is the record version.
CREATE TABLE IF NOT EXISTS entry(
  seq        INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,           -- microseconds since 1970, UTC
  type       INTEGER NOT NULL,           -- name; 'change' is always 1
  agency     INTEGER NOT NULL,           -- name
  actor      INTEGER NOT NULL,           -- name
  record     BLOB,                       -- UUID
  version    INTEGER NOT NULL,
  kind       INTEGER NOT NULL,           -- name
  marking    INTEGER NOT NULL,           -- of a change
  row        INTEGER NOT NULL,           -- of a change: record.row
  prev       INTEGER NOT NULL,           -- of a change: seq of the version before, -1 for none
  command    BLOB,                       -- UUID
  content    BLOB, salt BLOB, keyid INTEGER NOT NULL, sig BLOB, digest BLOB,
  commitment BLOB NOT NULL,
  expires    INTEGER                     -- of a change: when its marking expires
);
CREATE UNIQUE INDEX IF NOT EXISTS entry_command ON entry(command) WHERE command IS NOT NULL;
CREATE INDEX IF NOT EXISTS entry_about ON entry(record, seq) WHERE record IS NOT NULL AND type <> 1;
CREATE INDEX IF NOT EXISTS entry_actor ON entry(actor, seq);

CREATE TABLE IF NOT EXISTS node(level INTEGER, n INTEGER, hash BLOB NOT NULL, PRIMARY KEY(level, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint(size INTEGER PRIMARY KEY, note BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS head(one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, note BLOB NOT NULL);

CREATE TABLE IF NOT EXISTS marking(
  n INTEGER PRIMARY KEY, owner TEXT NOT NULL, tlp TEXT NOT NULL, audience TEXT NOT NULL, persons TEXT NOT NULL, caveats TEXT NOT NULL,
  UNIQUE(owner, tlp, audience, persons, caveats)
);

-- The newest version of every record. Rows are numbered as they are first
-- recorded, so that scans run newest first and stop when the page is full.
CREATE TABLE IF NOT EXISTS record(
  row      INTEGER PRIMARY KEY,
  id       BLOB NOT NULL UNIQUE,
  kind     INTEGER NOT NULL,
  marking  INTEGER NOT NULL,             -- 0: erased
  state    INTEGER NOT NULL,             -- name
  version  INTEGER NOT NULL,
  entry    INTEGER NOT NULL,             -- seq of this version
  observed INTEGER NOT NULL, recorded INTEGER NOT NULL, expires INTEGER,
  open     INTEGER NOT NULL,
  author   INTEGER NOT NULL,
  w REAL, s REAL, e REAL, n REAL, uncertainty REAL,
  title TEXT NOT NULL, facet TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS record_observed ON record(kind, observed);
CREATE INDEX IF NOT EXISTS record_expires ON record(expires) WHERE expires IS NOT NULL;

CREATE TABLE IF NOT EXISTS tally(kind INTEGER PRIMARY KEY, n INTEGER NOT NULL); -- rows, erased ones left out

-- Bounds of observed per 1,024 rows: turns a span of time into a span of rows.
CREATE TABLE IF NOT EXISTS zone(block INTEGER PRIMARY KEY, lo INTEGER NOT NULL, hi INTEGER NOT NULL, newest INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS link(target BLOB, row INTEGER, rel TEXT, PRIMARY KEY(target, row, rel)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS link_row ON link(row);
CREATE TABLE IF NOT EXISTS attachment(hash TEXT, row INTEGER, PRIMARY KEY(hash, row)) WITHOUT ROWID;

-- Words, map cells, states and facets as one inverted index, newest row first.
CREATE VIRTUAL TABLE IF NOT EXISTS search USING fts5(words, content='', contentless_delete=1, detail=full, tokenize='ascii');
-- Agencies, people, rights data and sign-in. Times are microseconds since 1970, UTC; 0 means not set.
-- Secrets are kept as hashes only.

CREATE TABLE IF NOT EXISTS account_agency (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  country    TEXT NOT NULL,
  contact    TEXT NOT NULL,
  local      INTEGER NOT NULL,
  public_key BLOB,
  created    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_community (
  agency    TEXT NOT NULL,
  community TEXT NOT NULL,
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
INSERT INTO name(n, s) VALUES(1, 'change');
PRAGMA user_version = 1;

-- What the exchange with other nodes needs. Times are microseconds since 1970, UTC; 0 means not set. Nodes and kinds are
-- numbers of table name.

CREATE TABLE IF NOT EXISTS peer_node (
  name TEXT PRIMARY KEY,
  node BLOB NOT NULL -- store.Node as JSON
) STRICT, WITHOUT ROWID;

-- Where the two streams with a node stand. Lane 0 is urgent, lane 1 normal.
CREATE TABLE IF NOT EXISTS peer_stream (
  node      INTEGER PRIMARY KEY,
  last      INTEGER NOT NULL DEFAULT 0, -- the newest number that we gave out
  received0 INTEGER NOT NULL DEFAULT 0, -- its receipt covers our stream up to here
  received1 INTEGER NOT NULL DEFAULT 0,
  applied0  INTEGER NOT NULL DEFAULT 0, -- of its stream, applied here
  applied1  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row for what a node is to get, got, or has to give back, of one record.
CREATE TABLE IF NOT EXISTS peer_share (
  node    INTEGER NOT NULL,
  record  BLOB NOT NULL,
  topic   TEXT NOT NULL,
  lane    INTEGER NOT NULL,
  n       INTEGER NOT NULL,
  act     INTEGER NOT NULL, -- 0 send, 1 recall, 2 word
  kind    INTEGER NOT NULL,
  version INTEGER NOT NULL,
  seq     INTEGER NOT NULL,
  reason  TEXT NOT NULL,
  word    BLOB,
  queued  INTEGER NOT NULL,
  sent    INTEGER NOT NULL,
  done    INTEGER NOT NULL,
  refused TEXT NOT NULL,
  opened  INTEGER NOT NULL,
  held    INTEGER NOT NULL,
  PRIMARY KEY (node, record, topic)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS peer_share_n ON peer_share (node, lane, n);
CREATE INDEX IF NOT EXISTS peer_share_record ON peer_share (record);

-- What we hold, or held, of other nodes' records.
CREATE TABLE IF NOT EXISTS peer_held (
  record  BLOB PRIMARY KEY,
  node    INTEGER NOT NULL,
  n       INTEGER NOT NULL,
  version INTEGER NOT NULL,
  purged  INTEGER NOT NULL,
  at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS peer_held_node ON peer_held (node);

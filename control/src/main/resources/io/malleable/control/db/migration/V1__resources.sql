-- Portable between SQLite and PostgreSQL: ids are the text of UUIDs, times are milliseconds since 1970 in UTC,
-- documents are JSON in text. A volume has the id of its image, disk or snapshot.

CREATE TABLE project (
  id         VARCHAR(36) NOT NULL PRIMARY KEY,
  name       VARCHAR(63) NOT NULL UNIQUE,
  created_at BIGINT      NOT NULL
);

CREATE TABLE image (
  id          VARCHAR(36) NOT NULL PRIMARY KEY,
  project_id  VARCHAR(36) NOT NULL REFERENCES project (id),
  name        VARCHAR(63) NOT NULL,
  state       VARCHAR(16) NOT NULL,
  created_at  BIGINT      NOT NULL,
  size_bytes  BIGINT      NOT NULL,
  parent_kind VARCHAR(16),
  parent_id   VARCHAR(36),
  visibility  VARCHAR(16) NOT NULL,
  format      VARCHAR(16),
  sha256      VARCHAR(64),
  source      TEXT,
  revision    BIGINT      NOT NULL,
  UNIQUE (project_id, name)
);
CREATE INDEX image_parent ON image (parent_id);

CREATE TABLE disk (
  id          VARCHAR(36) NOT NULL PRIMARY KEY,
  project_id  VARCHAR(36) NOT NULL REFERENCES project (id),
  name        VARCHAR(63) NOT NULL,
  state       VARCHAR(16) NOT NULL,
  created_at  BIGINT      NOT NULL,
  size_bytes  BIGINT      NOT NULL,
  parent_kind VARCHAR(16),
  parent_id   VARCHAR(36),
  trashed_at  BIGINT,
  revision    BIGINT      NOT NULL
);
-- A disk in the trash gives its name free.
CREATE UNIQUE INDEX disk_name ON disk (project_id, name) WHERE trashed_at IS NULL;
CREATE INDEX disk_parent ON disk (parent_id);
CREATE INDEX disk_trash ON disk (trashed_at) WHERE trashed_at IS NOT NULL;

CREATE TABLE snapshot (
  id          VARCHAR(36) NOT NULL PRIMARY KEY,
  project_id  VARCHAR(36) NOT NULL REFERENCES project (id),
  name        VARCHAR(63) NOT NULL,
  state       VARCHAR(16) NOT NULL,
  created_at  BIGINT      NOT NULL,
  size_bytes  BIGINT      NOT NULL,
  -- No foreign key: a snapshot outlives its disk, whose last name it keeps.
  disk_id     VARCHAR(36) NOT NULL,
  disk_name   VARCHAR(63) NOT NULL,
  parent_kind VARCHAR(16),
  parent_id   VARCHAR(36),
  UNIQUE (project_id, name)
);
CREATE INDEX snapshot_parent ON snapshot (parent_id);
CREATE INDEX snapshot_disk ON snapshot (disk_id);

CREATE TABLE node (
  id         VARCHAR(36) NOT NULL PRIMARY KEY,
  project_id VARCHAR(36) NOT NULL REFERENCES project (id),
  name       VARCHAR(63) NOT NULL,
  created_at BIGINT      NOT NULL,
  firmware   VARCHAR(16) NOT NULL,
  arch       VARCHAR(32) NOT NULL,
  bmc        TEXT,
  power      VARCHAR(16) NOT NULL,
  revision   BIGINT      NOT NULL,
  UNIQUE (project_id, name)
);

-- A MAC identifies one machine over all projects.
CREATE TABLE nic (
  mac      VARCHAR(17) NOT NULL PRIMARY KEY,
  node_id  VARCHAR(36) NOT NULL REFERENCES node (id) ON DELETE CASCADE,
  position INTEGER     NOT NULL
);
CREATE INDEX nic_node ON nic (node_id);

-- The keys say it: a disk is attached or exposed at most once, a node boots from at most one disk.
CREATE TABLE binding (
  disk_id     VARCHAR(36) NOT NULL PRIMARY KEY REFERENCES disk (id),
  node_id     VARCHAR(36) UNIQUE REFERENCES node (id),
  state       VARCHAR(16) NOT NULL,
  chap_user   VARCHAR(64) NOT NULL,
  chap_secret VARCHAR(64) NOT NULL,
  phone_home  VARCHAR(64) NOT NULL UNIQUE
);

CREATE TABLE operation (
  id           VARCHAR(36)      NOT NULL PRIMARY KEY,
  project_id   VARCHAR(36)      NOT NULL REFERENCES project (id),
  kind         VARCHAR(32)      NOT NULL,
  state        VARCHAR(16)      NOT NULL,
  created_at   BIGINT           NOT NULL,
  finished_at  BIGINT,
  subject_kind VARCHAR(16)      NOT NULL,
  subject_id   VARCHAR(36)      NOT NULL,
  subject_name VARCHAR(63)      NOT NULL,
  input        TEXT             NOT NULL,
  steps        TEXT             NOT NULL,
  progress     DOUBLE PRECISION NOT NULL,
  error_code   VARCHAR(32),
  error        TEXT,
  error_hint   TEXT,
  revision     BIGINT           NOT NULL
);
CREATE INDEX operation_order ON operation (project_id, created_at, id);
CREATE INDEX operation_unfinished ON operation (created_at) WHERE finished_at IS NULL;
CREATE INDEX operation_finished ON operation (finished_at) WHERE finished_at IS NOT NULL;

-- What an unfinished operation holds; the key keeps a second one off.
CREATE TABLE claim (
  resource_id  VARCHAR(36) NOT NULL PRIMARY KEY,
  operation_id VARCHAR(36) NOT NULL REFERENCES operation (id)
);
CREATE INDEX claim_operation ON claim (operation_id);

CREATE TABLE idempotency (
  project_id   VARCHAR(36)  NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  request_key  VARCHAR(128) NOT NULL,
  fingerprint  VARCHAR(64)  NOT NULL,
  operation_id VARCHAR(36)  NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
  PRIMARY KEY (project_id, request_key)
);
CREATE INDEX idempotency_operation ON idempotency (operation_id);

CREATE TABLE event (
  sequence     BIGINT       NOT NULL PRIMARY KEY,
  at           BIGINT       NOT NULL,
  project_id   VARCHAR(36),
  kind         VARCHAR(64)  NOT NULL,
  subject_kind VARCHAR(16),
  subject_id   VARCHAR(36),
  subject_name VARCHAR(63),
  message      TEXT         NOT NULL
);

CREATE TABLE boot (
  node_id    VARCHAR(36) NOT NULL REFERENCES node (id) ON DELETE CASCADE,
  number     BIGINT      NOT NULL,
  started_at BIGINT      NOT NULL,
  disk_id    VARCHAR(36),
  PRIMARY KEY (node_id, number)
);

CREATE TABLE boot_stage (
  node_id       VARCHAR(36) NOT NULL,
  number        BIGINT      NOT NULL,
  stage         VARCHAR(16) NOT NULL,
  at            BIGINT      NOT NULL,
  detail        TEXT,
  read_bytes    BIGINT      NOT NULL,
  written_bytes BIGINT      NOT NULL,
  PRIMARY KEY (node_id, number, stage),
  FOREIGN KEY (node_id, number) REFERENCES boot (node_id, number) ON DELETE CASCADE
);

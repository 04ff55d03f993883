-- The first schema. Expanded for each engine by src/sql/dialect.rs: @id, @bytes, @name, @wr; what only one engine has
-- stands between `-- @only <engine>` and `-- @end`. Times are Unix milliseconds; a digest is one algorithm byte and
-- the raw hash. Never change this file once released: its checksum is kept in every catalog.

-- Repositories.
CREATE TABLE namespaces(id @id, name @name NOT NULL UNIQUE, quota_bytes BIGINT, quota_tags BIGINT,
  created_at BIGINT NOT NULL); -- first component of a name; '' for names that have one only
CREATE TABLE repos(id @id, namespace_id BIGINT NOT NULL REFERENCES namespaces(id), name @name NOT NULL,
  sort_name @name NOT NULL, -- `/` written `!`: the order of the catalog list
  kind SMALLINT NOT NULL DEFAULT 0, -- 0 hosted, 1 proxy
  quota_bytes BIGINT, quota_tags BIGINT, settings TEXT, created_at BIGINT NOT NULL, deleted_at BIGINT,
  delete_op BIGINT);
CREATE UNIQUE INDEX repos_name ON repos(name) WHERE deleted_at IS NULL;
CREATE INDEX repos_order ON repos(sort_name) WHERE deleted_at IS NULL;
CREATE INDEX repos_ns ON repos(namespace_id, sort_name) WHERE deleted_at IS NULL;
CREATE TABLE usage(scope SMALLINT NOT NULL, -- 0 everything (bytes: stored once), 1 namespace, 2 repository
  scope_id BIGINT NOT NULL, stripe SMALLINT NOT NULL, -- one stripe a connection, so that pushes do not wait for a row
  bytes BIGINT NOT NULL DEFAULT 0, blobs BIGINT NOT NULL DEFAULT 0, manifests BIGINT NOT NULL DEFAULT 0,
  tags BIGINT NOT NULL DEFAULT 0, trashed BIGINT NOT NULL DEFAULT 0, pending_bytes BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY(scope, scope_id, stripe)) @wr;

-- Blobs, and LINKS: which repository may serve which blob.
CREATE TABLE blobs(id @id, digest @bytes NOT NULL UNIQUE, size BIGINT NOT NULL, location TEXT,
  health SMALLINT NOT NULL DEFAULT 0, -- 0 good, 1 suspect, 2 bad
  origin SMALLINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL, verified_at BIGINT NOT NULL DEFAULT 0,
  inline @bytes, -- last, so that everything else is read without it
  CHECK((location IS NULL) <> (inline IS NULL)));
CREATE UNIQUE INDEX blobs_location ON blobs(location) WHERE location IS NOT NULL;
CREATE INDEX blobs_scrub ON blobs(verified_at, id) WHERE location IS NOT NULL;
CREATE TABLE repo_blobs(repo_id BIGINT NOT NULL REFERENCES repos(id), blob_id BIGINT NOT NULL REFERENCES blobs(id),
  review_at BIGINT, -- end of the lease; null: had an edge at the last review
  linked_at BIGINT NOT NULL, hidden_at BIGINT, -- not null: deleted by a client, but a trashed manifest may need it
  PRIMARY KEY(repo_id, blob_id)) @wr;
CREATE INDEX repo_blobs_blob ON repo_blobs(blob_id);
CREATE INDEX repo_blobs_review ON repo_blobs(review_at) WHERE review_at IS NOT NULL;

-- Manifests. The body is kept once; its type is each repository's own, so that no push changes another's answers.
CREATE TABLE manifest_bodies(id @id, digest @bytes NOT NULL UNIQUE, size BIGINT NOT NULL, annotations TEXT,
  body @bytes NOT NULL);
CREATE TABLE manifests(id @id, repo_id BIGINT NOT NULL REFERENCES repos(id),
  body_id BIGINT NOT NULL REFERENCES manifest_bodies(id), digest @bytes NOT NULL, media_type TEXT NOT NULL,
  subject_digest @bytes, artifact_type TEXT, pushed_at BIGINT NOT NULL, pushed_by BIGINT,
  review_at BIGINT, trashed_at BIGINT, purge_at BIGINT, trash_op BIGINT, UNIQUE(repo_id, digest));
CREATE INDEX manifests_subject ON manifests(repo_id, subject_digest, id)
  WHERE subject_digest IS NOT NULL AND trashed_at IS NULL;
CREATE INDEX manifests_subject_type ON manifests(repo_id, subject_digest, artifact_type, id)
  WHERE subject_digest IS NOT NULL AND trashed_at IS NULL;
CREATE INDEX manifests_live ON manifests(repo_id, id) WHERE trashed_at IS NULL;
CREATE INDEX manifests_body ON manifests(body_id);
CREATE INDEX manifests_review ON manifests(review_at) WHERE review_at IS NOT NULL;
CREATE INDEX manifests_purge ON manifests(purge_at) WHERE purge_at IS NOT NULL;
CREATE INDEX manifests_trash ON manifests(repo_id, trashed_at, id) WHERE trashed_at IS NOT NULL;
CREATE INDEX manifests_op ON manifests(trash_op) WHERE trash_op IS NOT NULL;

-- EDGES: what a manifest names. The foreign key to the link proves that the repository has the blob, and pins it.
CREATE TABLE manifest_blobs(manifest_id BIGINT NOT NULL REFERENCES manifests(id), ord INTEGER NOT NULL,
  repo_id BIGINT NOT NULL, blob_id BIGINT NOT NULL, kind SMALLINT NOT NULL, -- 0 config, 1 layer, 2 child of an index
  PRIMARY KEY(manifest_id, ord), FOREIGN KEY(repo_id, blob_id) REFERENCES repo_blobs(repo_id, blob_id)) @wr;
CREATE INDEX manifest_blobs_blob ON manifest_blobs(repo_id, blob_id);
CREATE TABLE manifest_missing(manifest_id BIGINT NOT NULL REFERENCES manifests(id), ord INTEGER NOT NULL,
  digest @bytes NOT NULL, size BIGINT NOT NULL, kind SMALLINT NOT NULL, platform TEXT,
  PRIMARY KEY(manifest_id, ord)) @wr; -- foreign layers, and what validation lets be absent
CREATE INDEX manifest_missing_digest ON manifest_missing(digest);
CREATE TABLE manifest_children(parent_id BIGINT NOT NULL REFERENCES manifests(id), ord INTEGER NOT NULL,
  child_id BIGINT NOT NULL REFERENCES manifests(id), platform TEXT, PRIMARY KEY(parent_id, ord)) @wr;
CREATE INDEX manifest_children_child ON manifest_children(child_id);

-- Tags and their history.
CREATE TABLE tags(repo_id BIGINT NOT NULL REFERENCES repos(id), name @name NOT NULL,
  manifest_id BIGINT NOT NULL REFERENCES manifests(id), event_seq BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  immutable SMALLINT NOT NULL DEFAULT 0, PRIMARY KEY(repo_id, name)) @wr;
CREATE INDEX tags_manifest ON tags(manifest_id);
CREATE INDEX tags_recent ON tags(repo_id, updated_at, name);
CREATE TABLE pulls(manifest_id BIGINT NOT NULL REFERENCES manifests(id), tag @name NOT NULL, count BIGINT NOT NULL,
  last_at BIGINT NOT NULL, PRIMARY KEY(manifest_id, tag)) @wr; -- tag '': by digest
CREATE TABLE ops(id @id, kind SMALLINT NOT NULL, repo_id BIGINT, target TEXT, -- tag or digest that it was done to
  actor BIGINT, at BIGINT NOT NULL, reason TEXT, undone_by BIGINT, cursor TEXT, state SMALLINT NOT NULL DEFAULT 0);
CREATE INDEX ops_repo ON ops(repo_id, id);
CREATE TABLE tag_events(seq @id, repo_id BIGINT NOT NULL, name @name NOT NULL, op_id BIGINT NOT NULL,
  at BIGINT NOT NULL, kind SMALLINT NOT NULL, old_digest @bytes, new_digest @bytes);
CREATE INDEX tag_events_tag ON tag_events(repo_id, name, seq);
CREATE INDEX tag_events_op ON tag_events(op_id);

-- Uploads under way. They name their repository by name: it exists from its first blob or manifest on, not before.
CREATE TABLE uploads(id @bytes PRIMARY KEY, repo @name NOT NULL, actor BIGINT, offset_bytes BIGINT NOT NULL DEFAULT 0,
  hash_state @bytes, boot_id @bytes, writer_epoch BIGINT NOT NULL DEFAULT 0, writer_until BIGINT NOT NULL DEFAULT 0,
  backend_state TEXT, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL);
CREATE INDEX uploads_expiry ON uploads(expires_at);
CREATE INDEX uploads_actor ON uploads(actor);
CREATE TABLE upload_parts(upload_id @bytes NOT NULL REFERENCES uploads(id) ON DELETE CASCADE,
  part_no INTEGER NOT NULL, size BIGINT NOT NULL, etag TEXT NOT NULL, PRIMARY KEY(upload_id, part_no)) @wr;

-- Bytes that go, and bytes that nobody knows.
CREATE TABLE tombstones(location TEXT PRIMARY KEY, digest @bytes, size BIGINT NOT NULL, not_before BIGINT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, reason SMALLINT NOT NULL) @wr;
CREATE INDEX tombstones_due ON tombstones(not_before);
CREATE TABLE orphans(location TEXT PRIMARY KEY, size BIGINT NOT NULL, first_seen BIGINT NOT NULL,
  incarnation BIGINT NOT NULL) @wr;

-- Work, holds, changes.
CREATE TABLE leases(name TEXT PRIMARY KEY, owner TEXT NOT NULL, epoch BIGINT NOT NULL, expires_at BIGINT NOT NULL);
CREATE TABLE holds(id @id, kind SMALLINT NOT NULL, repo_id BIGINT, manifest_id BIGINT, expires_at BIGINT, reason TEXT);
CREATE TABLE changes(seq @id, at BIGINT NOT NULL, kind SMALLINT NOT NULL, repo_id BIGINT, key TEXT);
-- @only postgres
ALTER TABLE changes ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX changes_xid ON changes(xid);
-- @end
CREATE TABLE imports(id @id, source TEXT NOT NULL, phase SMALLINT NOT NULL, cursor TEXT, stats TEXT,
  started_at BIGINT NOT NULL, done_at BIGINT);

-- Who, and what they did.
CREATE TABLE users(id @id, name @name NOT NULL UNIQUE, secret TEXT,
  kind SMALLINT NOT NULL, -- 0 known by name only: another system checks the password
  disabled_at BIGINT, created_at BIGINT NOT NULL);
CREATE TABLE tokens(id @id, user_id BIGINT NOT NULL REFERENCES users(id), hash @bytes NOT NULL UNIQUE,
  scope TEXT NOT NULL, expires_at BIGINT, last_used_day INTEGER, revoked_at BIGINT);
CREATE TABLE grants(principal BIGINT NOT NULL, scope SMALLINT NOT NULL, scope_id BIGINT NOT NULL,
  rights INTEGER NOT NULL, PRIMARY KEY(principal, scope, scope_id)) @wr;
CREATE TABLE policies(id @id, scope SMALLINT NOT NULL, scope_id BIGINT NOT NULL, kind SMALLINT NOT NULL,
  body TEXT NOT NULL, version BIGINT NOT NULL, enabled SMALLINT NOT NULL);
CREATE TABLE audit(seq @id, at BIGINT NOT NULL, actor BIGINT, action TEXT NOT NULL, target TEXT, remote TEXT,
  detail TEXT);
CREATE INDEX audit_at ON audit(at);

-- History is append-only. Of an operation, only whether it was undone and how far it is may change.
-- @only sqlite
CREATE TRIGGER tag_events_kept BEFORE DELETE ON tag_events BEGIN SELECT RAISE(ABORT, 'tag_events is append-only'); END;
CREATE TRIGGER tag_events_fixed BEFORE UPDATE ON tag_events BEGIN SELECT RAISE(ABORT, 'tag_events is append-only'); END;
CREATE TRIGGER changes_kept BEFORE DELETE ON changes BEGIN SELECT RAISE(ABORT, 'changes is append-only'); END;
CREATE TRIGGER changes_fixed BEFORE UPDATE ON changes BEGIN SELECT RAISE(ABORT, 'changes is append-only'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER ops_kept BEFORE DELETE ON ops BEGIN SELECT RAISE(ABORT, 'ops is append-only'); END;
CREATE TRIGGER ops_fixed BEFORE UPDATE OF id, kind, repo_id, target, actor, at, reason ON ops
  BEGIN SELECT RAISE(ABORT, 'ops is append-only'); END;
-- @end
-- @only postgres
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER tag_events_fixed BEFORE UPDATE OR DELETE ON tag_events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tag_events_kept BEFORE TRUNCATE ON tag_events EXECUTE FUNCTION refuse_change();
CREATE TRIGGER changes_fixed BEFORE UPDATE OR DELETE ON changes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER changes_kept BEFORE TRUNCATE ON changes EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_fixed BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_kept BEFORE TRUNCATE ON audit EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ops_fixed BEFORE DELETE OR UPDATE OF id, kind, repo_id, target, actor, at, reason ON ops
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ops_kept BEFORE TRUNCATE ON ops EXECUTE FUNCTION refuse_change();
-- @end

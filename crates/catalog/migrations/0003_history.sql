-- From where something was done, until when it can be taken back, and repositories that are deleted or renamed.

ALTER TABLE ops ADD COLUMN remote TEXT; -- the client's address
ALTER TABLE ops ADD COLUMN until BIGINT; -- end of the undo window, of what took something away
CREATE INDEX ops_trash ON ops(until, id) WHERE until IS NOT NULL AND undone_by IS NULL;
CREATE INDEX ops_repo_trash ON ops(repo_id, until, id) WHERE until IS NOT NULL AND undone_by IS NULL;
-- The manifests that an operation took away; kept when they are purged, so that it can be said what is gone.
CREATE TABLE op_manifests(op_id BIGINT NOT NULL, digest @bytes NOT NULL, PRIMARY KEY(op_id, digest)) @wr;
CREATE INDEX op_manifests_digest ON op_manifests(digest, op_id);

ALTER TABLE repos ADD COLUMN purge_at BIGINT; -- of a deleted one: when its contents may go; null once they went
CREATE INDEX repos_purge ON repos(purge_at) WHERE purge_at IS NOT NULL;
CREATE INDEX repos_deleted ON repos(name, id) WHERE deleted_at IS NOT NULL;
-- Names that repositories had.
CREATE TABLE repo_names(name @name PRIMARY KEY, repo_id BIGINT NOT NULL REFERENCES repos(id),
  op_id BIGINT NOT NULL) @wr;
CREATE INDEX repo_names_repo ON repo_names(repo_id);
-- All pulls of a repository, also of manifests that are gone.
CREATE TABLE repo_pulls(repo_id BIGINT PRIMARY KEY REFERENCES repos(id), count BIGINT NOT NULL,
  last_at BIGINT NOT NULL) @wr;

-- @only sqlite
DROP TRIGGER ops_fixed;
CREATE TRIGGER ops_fixed BEFORE UPDATE OF id, kind, repo_id, target, actor, at, reason, remote ON ops
  BEGIN SELECT RAISE(ABORT, 'ops is append-only'); END;
CREATE TRIGGER op_manifests_kept BEFORE DELETE ON op_manifests
  BEGIN SELECT RAISE(ABORT, 'op_manifests is append-only'); END;
CREATE TRIGGER op_manifests_fixed BEFORE UPDATE ON op_manifests
  BEGIN SELECT RAISE(ABORT, 'op_manifests is append-only'); END;
-- @end
-- @only postgres
DROP TRIGGER ops_fixed ON ops;
CREATE TRIGGER ops_fixed BEFORE DELETE OR UPDATE OF id, kind, repo_id, target, actor, at, reason, remote ON ops
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER op_manifests_fixed BEFORE UPDATE OR DELETE ON op_manifests
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER op_manifests_kept BEFORE TRUNCATE ON op_manifests EXECUTE FUNCTION refuse_change();
-- @end

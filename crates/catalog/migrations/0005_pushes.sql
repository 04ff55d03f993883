-- The order in which tags were set, of which push each is, the last push of a repository, and untagged manifests from
-- the end of their lease on.

ALTER TABLE tags ADD COLUMN ranked_at BIGINT NOT NULL DEFAULT 0; -- as updated_at, but above all others when it was set
ALTER TABLE tags ADD COLUMN pushed_at BIGINT NOT NULL DEFAULT 0; -- a restore or a rollback is no push
ALTER TABLE tags ADD COLUMN pushed_by BIGINT;
UPDATE tags SET ranked_at = updated_at, pushed_at = updated_at, pushed_by = (SELECT o.actor FROM tag_events e
  JOIN ops o ON o.id = e.op_id WHERE e.seq = tags.event_seq);
DROP INDEX tags_recent;
CREATE INDEX tags_ranked ON tags(repo_id, ranked_at, event_seq);

CREATE TABLE repo_pushes(repo_id BIGINT PRIMARY KEY REFERENCES repos(id), last_at BIGINT NOT NULL) @wr;
INSERT INTO repo_pushes(repo_id, last_at) SELECT repo_id, max(updated_at) FROM tags GROUP BY repo_id;

-- Also those that nobody has looked at since their lease ended, and those whose lease runs; some of them are held.
DROP INDEX manifests_loose;
CREATE INDEX manifests_loose ON manifests(repo_id, (COALESCE(loose_at, review_at)), id)
  WHERE COALESCE(loose_at, review_at) IS NOT NULL;

-- Rules of operators, runs of retention, and since when nothing holds a manifest.

-- Rules made by command or API, beside those of the file: kind 1 retention, 2 quota, 3 immutable tags, 4 the mode.
ALTER TABLE policies ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE policies ADD COLUMN set_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE policies ADD COLUMN set_by TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX policies_name ON policies(kind, name);

-- The end of the last lease of a manifest that no tag, index or subject held then; null: something does, or a lease runs.
ALTER TABLE manifests ADD COLUMN loose_at BIGINT;
CREATE INDEX manifests_loose ON manifests(repo_id, loose_at, id) WHERE loose_at IS NOT NULL;
-- Those that were looked at before this was written down are looked at once more.
UPDATE manifests SET review_at = pushed_at WHERE review_at IS NULL AND trashed_at IS NULL;

CREATE TABLE retention_runs(id @id, at BIGINT NOT NULL, finished_at BIGINT, scheduled SMALLINT NOT NULL,
  actor TEXT, repositories BIGINT NOT NULL DEFAULT 0, tags BIGINT NOT NULL DEFAULT 0,
  manifests BIGINT NOT NULL DEFAULT 0, error TEXT);
CREATE INDEX retention_runs_at ON retention_runs(at) WHERE scheduled = 1;

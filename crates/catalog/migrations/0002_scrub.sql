-- What a check of the stored bytes found, and how far the look at what lies in the catalog itself is. A file's turn is
-- `blobs.verified_at`, oldest first; -1: a read failed on it, so it is first.
CREATE TABLE damages(id @id, blob_id BIGINT UNIQUE REFERENCES blobs(id) ON DELETE CASCADE,
  body_id BIGINT UNIQUE REFERENCES manifest_bodies(id) ON DELETE CASCADE,
  cause SMALLINT NOT NULL, -- 1 missing, 2 of another size, 3 of another content, 4 the disk cannot read it
  found_at BIGINT NOT NULL, CHECK((blob_id IS NULL) <> (body_id IS NULL)));
CREATE TABLE scrubs(name TEXT PRIMARY KEY, after_id BIGINT NOT NULL, ended_at BIGINT NOT NULL); -- one row a table
INSERT INTO damages(blob_id, cause, found_at) SELECT id, 1, verified_at FROM blobs WHERE health = 2;

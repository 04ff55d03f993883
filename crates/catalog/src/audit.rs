//! The auditor: checks that the rules which hold the catalog together do hold.
//!
//! It reads whole tables, so it is for checks and tests, never for a request. Foreign keys already hold the rest of
//! edge => link => blob row (I4). Shape: one sentence for each broken rule that was found, at most `EACH_MAX` a rule.

use crate::Error;
use crate::sql::{Row, Tx, values};

/// Sentences of one rule, at most.
const EACH_MAX: i64 = 10;

/// A rule's words, and the statement that finds what breaks it (a name of it in the only column).
const RULES: [(&str, &str); 18] = [
    (
        "I1: a blob is marked damaged and no damage is written down, or the other way round: blob",
        "SELECT b.id FROM blobs b LEFT JOIN damages d ON d.blob_id = b.id
         WHERE (b.health = 2) <> (d.id IS NOT NULL) LIMIT ?1",
    ),
    (
        "I4: a live manifest names a blob that its repository does not serve: manifest",
        "SELECT m.id FROM manifests m JOIN manifest_blobs e ON e.manifest_id = m.id
         JOIN repo_blobs l ON l.repo_id = e.repo_id AND l.blob_id = e.blob_id
         WHERE m.trashed_at IS NULL AND l.hidden_at IS NOT NULL LIMIT ?1",
    ),
    (
        "I4: an edge leads into another repository: manifest",
        "SELECT m.id FROM manifests m JOIN manifest_blobs e ON e.manifest_id = m.id
         WHERE e.repo_id <> m.repo_id LIMIT ?1",
    ),
    (
        "I4: a live index lists a manifest that is in the trash: index",
        "SELECT p.id FROM manifests p JOIN manifest_children c ON c.parent_id = p.id
         JOIN manifests m ON m.id = c.child_id WHERE p.trashed_at IS NULL AND m.trashed_at IS NOT NULL LIMIT ?1",
    ),
    (
        "I5: a blob that no repository links: blob",
        "SELECT b.id FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM repo_blobs l WHERE l.blob_id = b.id) LIMIT ?1",
    ),
    (
        "I7: a location that is served and is to be removed: blob",
        "SELECT b.id FROM blobs b JOIN tombstones t ON t.location = b.location LIMIT ?1",
    ),
    (
        "I8: a tag is not what its last event says: event",
        "SELECT t.event_seq FROM tags t JOIN manifests m ON m.id = t.manifest_id
         LEFT JOIN tag_events e ON e.seq = t.event_seq AND e.repo_id = t.repo_id AND e.name = t.name
         WHERE e.new_digest IS NULL OR e.new_digest <> m.digest
           OR EXISTS (SELECT 1 FROM tag_events n WHERE n.repo_id = t.repo_id AND n.name = t.name
                      AND n.seq > t.event_seq) LIMIT ?1",
    ),
    (
        "I8: the last event of a tag sets it, but there is no such tag: event",
        "SELECT e.seq FROM tag_events e WHERE e.new_digest IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM tag_events n WHERE n.repo_id = e.repo_id AND n.name = e.name
                           AND n.seq > e.seq)
           AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repo_id = e.repo_id AND t.name = e.name) LIMIT ?1",
    ),
    (
        "I9: a tag leads into the trash: manifest",
        "SELECT m.id FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE m.trashed_at IS NOT NULL OR m.repo_id <> t.repo_id LIMIT ?1",
    ),
    (
        "gc: a link that no edge holds and nobody will look at again: blob",
        "SELECT l.blob_id FROM repo_blobs l WHERE l.review_at IS NULL AND NOT EXISTS
           (SELECT 1 FROM manifest_blobs e WHERE e.repo_id = l.repo_id AND e.blob_id = l.blob_id) LIMIT ?1",
    ),
    (
        "gc: a body that no manifest has: body",
        "SELECT b.id FROM manifest_bodies b
         WHERE NOT EXISTS (SELECT 1 FROM manifests m WHERE m.body_id = b.id) LIMIT ?1",
    ),
    (
        "gc: a manifest that is in the trash but has no end there, or the other way round: manifest",
        "SELECT m.id FROM manifests m WHERE (m.trashed_at IS NULL) <> (m.purge_at IS NULL) LIMIT ?1",
    ),
    (
        "gc: a manifest that follows its index and nobody will look at again: manifest",
        "SELECT m.id FROM manifests m WHERE m.trashed_at IS NULL AND m.trash_op IS NOT NULL AND m.review_at IS NULL
         LIMIT ?1",
    ),
    (
        "gc: a deleted repository that nobody will look at again and that holds live manifests: repository",
        "SELECT r.id FROM repos r WHERE r.deleted_at IS NOT NULL AND r.purge_at IS NULL
           AND EXISTS (SELECT 1 FROM manifests m WHERE m.repo_id = r.id AND m.trashed_at IS NULL) LIMIT ?1",
    ),
    (
        "gc: a repository that is there and has an end: repository",
        "SELECT r.id FROM repos r WHERE r.deleted_at IS NULL AND r.purge_at IS NOT NULL LIMIT ?1",
    ),
    (
        "usage: the counters of a namespace are off: namespace",
        "SELECT n.id FROM namespaces n WHERE
           (SELECT COALESCE(SUM(u.bytes), 0) FROM usage u WHERE u.scope = 1 AND u.scope_id = n.id)
             <> (SELECT COALESCE(SUM(u.bytes), 0) FROM usage u JOIN repos r ON r.id = u.scope_id
                 WHERE u.scope = 2 AND r.namespace_id = n.id)
           OR (SELECT COALESCE(SUM(u.tags), 0) FROM usage u WHERE u.scope = 1 AND u.scope_id = n.id)
             <> (SELECT COALESCE(SUM(u.tags), 0) FROM usage u JOIN repos r ON r.id = u.scope_id
                 WHERE u.scope = 2 AND r.namespace_id = n.id) LIMIT ?1",
    ),
    (
        "usage: the counters of a repository are off: repository",
        "SELECT r.id FROM repos r WHERE
           (SELECT COALESCE(SUM(u.manifests), 0) FROM usage u WHERE u.scope = 2 AND u.scope_id = r.id)
             <> (SELECT COUNT(*) FROM manifests m WHERE m.repo_id = r.id AND m.trashed_at IS NULL)
           OR (SELECT COALESCE(SUM(u.trashed), 0) FROM usage u WHERE u.scope = 2 AND u.scope_id = r.id)
             <> (SELECT COUNT(*) FROM manifests m WHERE m.repo_id = r.id AND m.trashed_at IS NOT NULL)
           OR (SELECT COALESCE(SUM(u.tags), 0) FROM usage u WHERE u.scope = 2 AND u.scope_id = r.id)
             <> (SELECT COUNT(*) FROM tags t WHERE t.repo_id = r.id)
           OR (SELECT COALESCE(SUM(u.bytes), 0) FROM usage u WHERE u.scope = 2 AND u.scope_id = r.id)
             <> (SELECT COALESCE(SUM(b.size), 0) FROM repo_blobs l JOIN blobs b ON b.id = l.blob_id
                 WHERE l.repo_id = r.id) LIMIT ?1",
    ),
    (
        "usage: the counters of everything are off: scope",
        "SELECT CAST(0 AS BIGINT) WHERE
           (SELECT COALESCE(SUM(u.bytes), 0) FROM usage u WHERE u.scope = 0)
             <> (SELECT COALESCE(SUM(b.size), 0) FROM blobs b)
           OR (SELECT COALESCE(SUM(u.blobs), 0) FROM usage u WHERE u.scope = 0) <> (SELECT COUNT(*) FROM blobs)
           OR (SELECT COALESCE(SUM(u.manifests), 0) FROM usage u WHERE u.scope = 0)
             <> (SELECT COUNT(*) FROM manifests m WHERE m.trashed_at IS NULL) LIMIT ?1",
    ),
];

/// How many rules there are.
pub const AUDIT_RULES: usize = RULES.len();

/// What is wrong with the catalog; nothing, if all is well.
pub fn audit(tx: &mut Tx<'_>) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for number in 0..AUDIT_RULES {
        found.extend(audit_rule(tx, number)?);
    }
    Ok(found)
}

/// What breaks one rule: so that a check of a large catalog needs no transaction that lasts for all of them.
pub fn audit_rule(tx: &mut Tx<'_>, number: usize) -> Result<Vec<String>, Error> {
    let Some((rule, sql)) = RULES.get(number) else {
        return Ok(Vec::new());
    };
    let breaking = tx.query(sql, values![EACH_MAX], |row: &Row<'_>| row.get::<i64>(0))?;
    Ok(breaking.into_iter().map(|id| format!("{rule} {id}")).collect())
}

//! `storage`, and what is done with what lies there: `trash`, `gc`.

use super::{Row, When, row};
use crate::kind::Kind;

const S3: &str =
    "the S3 backend is planned, and not built yet: use `storage.filesystem` on a volume meanwhile";
const OTHER_CLOUD: &str = "Landfall has no backend for it: use `storage.filesystem` on a volume";

pub(super) const ROWS: &[Row] = &[
    row("storage.filesystem.rootdirectory", Kind::Path, "./landfall-data", "folder that holds everything")
        .in_image("/var/lib/registry")
        .flag("--data"),
    row("storage.filesystem.maxthreads", Kind::Integer(0), "100", "operations on the disk at the same time")
        .warn(When::Filled, "Landfall sizes its disk threads itself"),
    row(
        "storage.filesystem.allow_network",
        Kind::Bool,
        "false",
        "accept a folder on a network file system, whose locks and syncs the server cannot rely on",
    )
    .ours(),
    row("storage.inmemory", Kind::Any, "", "keep everything in a temporary store that ends with the process"),
    row(
        "storage.s3",
        Kind::Any,
        "",
        "S3: `accesskey`, `secretkey`, `sessiontoken`, `region`, `regionendpoint`, `forcepathstyle`, `accelerate`, `bucket`, \
         `encrypt`, `keyid`, `secure`, `skipverify`, `v4auth`, `chunksize`, `multipartcopychunksize`, \
         `multipartcopymaxconcurrency`, `multipartcopythresholdsize`, `rootdirectory`, `storageclass`, `objectacl`, \
         `usedualstack`, `usefipsendpoint`, `useragent`, `loglevel`",
    )
    .refuse(When::Written, S3),
    row("storage.azure", Kind::Any, "", "Azure Blob Storage").refuse(When::Written, OTHER_CLOUD),
    row("storage.gcs", Kind::Any, "", "Google Cloud Storage").refuse(When::Written, OTHER_CLOUD),
    row("storage.swift", Kind::Any, "", "OpenStack Swift").refuse(When::Written, OTHER_CLOUD),
    row("storage.oss", Kind::Any, "", "Alibaba Cloud OSS").refuse(When::Written, OTHER_CLOUD),
    row(
        "storage.delete.enabled",
        Kind::Bool,
        "true",
        "allow deletes: what is deleted goes to the trash and can be restored until `trash.undo_window` ends",
    ),
    row("storage.redirect.disable", Kind::Bool, "false", "never redirect clients to the storage")
        .warn(When::On, "the filesystem never redirects"),
    row("storage.cache.blobdescriptor", Kind::Text, "", "cache of blob descriptors: `inmemory` or `redis`")
        .old("storage.cache.layerinfo")
        .warn(When::Filled, "Landfall's catalog needs no such cache, in memory or in redis"),
    row("storage.cache.blobdescriptorsize", Kind::Integer(0), "10000", "entries of that cache")
        .warn(When::Filled, "Landfall's catalog needs no such cache, in memory or in redis"),
    row("storage.tag.concurrencylimit", Kind::Integer(0), "", "look-ups of tags at the same time")
        .warn(When::Filled, "tags are rows of the catalog, which needs no such limit"),
    row("storage.maintenance.uploadpurging.enabled", Kind::Bool, "true", "remove uploads that nobody continues"),
    row("storage.maintenance.uploadpurging.age", Kind::GoDuration, "168h", "idle time after which an upload is removed"),
    row("storage.maintenance.uploadpurging.interval", Kind::GoDuration, "24h", "time between two looks for such uploads"),
    row("storage.maintenance.uploadpurging.dryrun", Kind::Bool, "false", "only log what would be removed"),
    row("storage.maintenance.readonly.enabled", Kind::Bool, "false", "refuse writes; pulls work"),
    row("storage.inline_max", Kind::Size, "16KiB", "blobs up to this size lie in the catalog, larger ones in files").ours(),
    row(
        "trash.undo_window",
        Kind::Duration(0),
        "7d",
        "how long what was deleted or overwritten can be restored; `0`: deletes are for good at once",
    )
    .ours(),
    row(
        "gc.lease",
        Kind::Duration(3600),
        "24h",
        "how long a blob that a client was told exists is kept for the manifest that may follow",
    )
    .ours(),
    row(
        "gc.read_grace",
        Kind::Duration(60),
        "1h",
        "how long the bytes of a blob stay after nothing names it any more, for readers that are on their way to them",
    )
    .ours(),
    row(
        "gc.orphan_hold",
        Kind::Duration(3600),
        "7d",
        "how long a stored file that the catalog does not know, as a crash may leave one, lies in quarantine before it goes",
    )
    .ours(),
    row(
        "scrub.rate",
        Kind::Rate,
        "20MB/s",
        "how fast stored bytes are read back to see whether they are still what they should be; `0`: not at all",
    )
    .ours(),
];

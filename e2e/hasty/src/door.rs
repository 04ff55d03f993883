//! Orders for a running server, one a line, over a unix socket in its folder: what no client of the protocol can ask for.
//!
//! `restore REPOSITORY DIGEST` takes the newest delete of a manifest back: `done` and the digests that are back, or
//! `gone` if there is nothing to take back. `waits` says why the collector waits, or `none`. `scan` looks through all folders for orphans, and says how many it
//! put aside. `pause` and `resume` are for the collector. `pending` is how many things wait to be collected, `collected` what was until now. Any failure is a line that begins with `error`.

use std::path::Path;
use std::sync::Arc;

use catalog::{Catalog, Restored, Tx};
use oci::{Digest, RepositoryName};
use registry::{Clock as _, Registry, SystemClock};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::Trouble;
use crate::serve::Totals;

/// Opens the door; a socket that a killed server left is replaced.
pub(crate) fn open(
    folder: &Path,
    registry: Registry,
    catalog: Catalog,
    totals: Arc<Totals>,
) -> Result<JoinHandle<()>, Trouble> {
    let path = folder.join("hasty.sock");
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    Ok(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(hear(
                stream,
                registry.clone(),
                catalog.clone(),
                Arc::clone(&totals),
            ));
        }
    }))
}

async fn hear(stream: UnixStream, registry: Registry, catalog: Catalog, totals: Arc<Totals>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[..] {
            ["restore", repository, digest] => restore(&registry, &catalog, repository, digest).await,
            ["pause"] => registry
                .gc_pause("door")
                .await
                .map(|_| "done".to_owned())
                .map_err(Trouble::from),
            ["resume"] => registry
                .gc_resume()
                .await
                .map(|_| "done".to_owned())
                .map_err(Trouble::from),
            ["pending"] => pending(&registry).await,
            ["collected"] => Ok(totals.words()),
            ["waits"] => waits(&registry).await,
            ["scan"] => registry
                .scan_orphans()
                .await
                .map(|found| found.to_string())
                .map_err(Trouble::from),
            _ => Err("no such order".into()),
        };
        let answer = answer.unwrap_or_else(|trouble| format!("error: {trouble}"));
        if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn restore(
    registry: &Registry,
    catalog: &Catalog,
    repository: &str,
    digest: &str,
) -> Result<String, Trouble> {
    let (repository, digest): (RepositoryName, Digest) = (repository.parse()?, digest.parse()?);
    let kept = registry.why_kept(&digest).await?.manifests;
    let trashed = kept
        .into_iter()
        .find(|manifest| manifest.repository == repository && manifest.purge_at.is_some());
    let Some(op) = trashed.and_then(|manifest| manifest.op) else {
        return Ok("gone".to_owned());
    };
    let (now, keep_ms) = (SystemClock.now_ms(), registry.rules().lease_ms);
    let restored = catalog
        .write(move |tx: &mut Tx<'_>| {
            catalog::restore(tx, op, &catalog::RestoreWish::default(), now, keep_ms, None)
        })
        .await?;
    Ok(match restored {
        Restored::Done { manifests, .. } => manifests
            .iter()
            .fold("done".to_owned(), |answer, digest| format!("{answer} {digest}")),
        _ => "gone".to_owned(),
    })
}

async fn pending(registry: &Registry) -> Result<String, Trouble> {
    let status = registry.gc_status().await?;
    let all = [status.trash, status.leased, status.tombstones, status.orphans];
    Ok(all.iter().map(|pending| pending.count).sum::<u64>().to_string())
}

async fn waits(registry: &Registry) -> Result<String, Trouble> {
    let waits = registry.gc_run().await?.waits;
    Ok(waits.map_or_else(|| "none".to_owned(), |waits| format!("{waits:?}")))
}

//! The power is cut at every single change of the disk, and the disk keeps, loses or tears whatever was not durable.
//! Afterwards each published blob is whole, an upload goes on or is known to be gone, and the store opens.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use oci::{Algorithm, Digest};
use store::testing::{Fate, SimDisk};
use store::{Checkpoint, Error, FsStore, Location, Plan};
use uuid::Uuid;

use crate::support::*;

/// What the caller's catalog would hold: acknowledged blobs, and uploads with a checkpoint.
#[derive(Default)]
struct Catalog {
    blobs: Mutex<Vec<(Location, Vec<u8>)>>,
    uploads: Mutex<Vec<(Uuid, Checkpoint)>>,
}

/// One life of the server: three pushes, two of them of the same bytes at once, and a removal.
async fn work(disk: &SimDisk, catalog: &Catalog) -> Result<(), Error> {
    let store = FsStore::open(Path::new("/data"), Arc::new(disk.clone()), SMALL)?;
    let large = pattern(150_000);
    let (one, two) = tokio::join!(
        push_with_checkpoint(&store, &large, catalog),
        push_with_checkpoint(&store, &large, catalog)
    );
    one.and(two)?;
    push_with_checkpoint(&store, &pattern(3000), catalog).await?;
    // The catalog forgets a blob before its file goes.
    let (gone, _) = catalog.blobs.lock().unwrap().remove(0);
    store.remove(vec![gone]).await?;
    Ok(())
}

async fn push_with_checkpoint(store: &FsStore, bytes: &[u8], catalog: &Catalog) -> Result<(), Error> {
    let id = Uuid::new_v4();
    let mut upload = store.begin(id, plan(Algorithm::Sha256)).await?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    if bytes.len() > 4096 {
        upload.append(Bytes::copy_from_slice(first)).await?;
        let at = upload.checkpoint().await?;
        catalog.uploads.lock().unwrap().push((id, at));
        upload.append(Bytes::copy_from_slice(second)).await?;
    } else {
        upload.append(Bytes::copy_from_slice(bytes)).await?;
    }
    let verified = upload.verify(&digest(Algorithm::Sha256, bytes)).await?;
    let published = store.publish(verified).await?;
    catalog.uploads.lock().unwrap().retain(|(known, _)| *known != id);
    catalog
        .blobs
        .lock()
        .unwrap()
        .push((published.location.clone(), bytes.to_vec()));
    Ok(())
}

/// The next life, on what the cut left.
async fn recover(disk: SimDisk, catalog: &Catalog, name: &str) {
    let store = FsStore::open(Path::new("/data"), Arc::new(disk), SMALL).unwrap_or_else(|error| {
        panic!("{name}: the store does not open: {error:?}");
    });
    let uploads = catalog.uploads.lock().unwrap().clone();
    let known: HashSet<_> = uploads.iter().map(|(id, _)| *id).collect();
    let found = store.reconcile_uploads(known).await.unwrap().found;
    let blobs = catalog.blobs.lock().unwrap().clone();
    for (location, bytes) in blobs {
        let blob = store.open_blob(&location, bytes.len() as u64).await;
        let blob = blob.unwrap_or_else(|error| panic!("{name}: acknowledged and lost: {error}"));
        assert!(
            read(&blob).await == bytes,
            "{name}: acknowledged and torn: {location}"
        );
    }
    for (id, at) in uploads {
        let bytes = pattern(150_000);
        let offset = usize::try_from(at.offset).unwrap();
        let mut upload = match store.resume(id, at).await {
            Ok(upload) => upload,
            Err(Error::UploadGone { .. }) => continue,
            Err(error) => panic!("{name}: {error}"),
        };
        assert!(found.contains(&id), "{name}");
        upload
            .append(Bytes::copy_from_slice(&bytes[offset..]))
            .await
            .unwrap();
        let verified = upload.verify(&digest(Algorithm::Sha256, &bytes)).await.unwrap();
        let published = store.publish(verified).await.unwrap();
        let blob = store
            .open_blob(&published.location, published.size)
            .await
            .unwrap();
        assert!(read(&blob).await == bytes, "{name}: resumed into other bytes");
    }
    push_again(&store, name).await;
}

/// The store works as before.
async fn push_again(store: &FsStore, name: &str) {
    let bytes = pattern(20_000);
    let plan = Plan {
        algorithm: Algorithm::Sha512,
        size_hint: None,
    };
    let published = push(store, plan, &bytes, 3000).await;
    let expected: Digest = digest(Algorithm::Sha512, &bytes);
    assert_eq!(published.digest, expected, "{name}");
}

#[tokio::test]
async fn no_power_cut_takes_what_was_acknowledged() {
    let whole = SimDisk::default();
    let catalog = Catalog::default();
    work(&whole, &catalog).await.unwrap();
    let changes = whole.changes();
    assert!(changes > 40, "only {changes} changes to cut at");
    let (mut resumable, mut acknowledged) = (0, 0);
    for cut in 0..changes {
        let disk = SimDisk::default();
        disk.cut_power_after(cut);
        let catalog = Catalog::default();
        let _ = work(&disk, &catalog).await;
        resumable += catalog.uploads.lock().unwrap().len();
        acknowledged += catalog.blobs.lock().unwrap().len();
        let random = (0..6).map(|seed| Fate::Random(cut * 1000 + seed));
        for fate in [Fate::LoseAll, Fate::KeepAll].into_iter().chain(random) {
            recover(
                disk.after_the_cut(fate),
                &catalog,
                &format!("cut after {cut}, {fate:?}"),
            )
            .await;
        }
    }
    assert!(
        resumable > 10 && acknowledged > 10,
        "{resumable} {acknowledged}: the cuts missed the work"
    );
}

/// The simulated disk does lose things: without the syncs, the test above would fail.
#[test]
fn what_was_not_synced_can_be_lost() {
    use store::Files;
    let disk = SimDisk::default();
    let path = Path::new("/file");
    let file = disk.create_new(path).unwrap();
    file.write_at(&[7; 10_000], 0).unwrap();
    assert!(
        disk.after_the_cut(Fate::LoseAll)
            .list(Path::new("/"))
            .unwrap()
            .is_empty()
    );
    disk.sync_dir(Path::new("/")).unwrap();
    let named = disk.after_the_cut(Fate::LoseAll);
    assert_eq!(named.open(path, store::Access::Read).unwrap().size().unwrap(), 0);
    file.sync().unwrap();
    let whole = disk.after_the_cut(Fate::LoseAll);
    assert_eq!(
        whole.open(path, store::Access::Read).unwrap().size().unwrap(),
        10_000
    );
    file.write_at(&[8; 10_000], 0).unwrap();
    let torn = (0..50).any(|seed| {
        let mut bytes = vec![0; 10_000];
        let disk = disk.after_the_cut(Fate::Random(seed));
        disk.open(path, store::Access::Read)
            .unwrap()
            .read_at(&mut bytes, 0)
            .unwrap();
        bytes.contains(&7) && bytes.contains(&8)
    });
    assert!(torn);
}

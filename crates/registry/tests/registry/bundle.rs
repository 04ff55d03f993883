//! Bundles: content goes to a registry that no network leads to, whole or as what came since, and nothing half is ever seen.

use std::fs;
use std::path::{Path, PathBuf};

use oci::{Digest, Reference};
use registry::bundle::{BundleError, Imported, Since, Written, describe};
use registry::{Error, Registry};
use tokio_util::sync::CancellationToken;

use crate::backup::{expect_whole, push_image};
use crate::house::{House, delete, noise, pull, push_in_parts, push_manifest};

async fn write(
    registry: &Registry,
    target: &Path,
    names: &[&str],
    since: Option<Since>,
) -> Result<Written, Error> {
    let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
    registry
        .write_bundle(target, &names, since, |_| {}, &CancellationToken::new())
        .await
}

async fn import(registry: &Registry, path: &Path) -> Result<Imported, Error> {
    registry
        .import_bundle(path, Some("bee".to_owned()), |_| {}, &CancellationToken::new())
        .await
}

async fn led(registry: &Registry, repository: &str, tag: &str) -> Option<Digest> {
    let reference: Reference = tag.parse().unwrap();
    match registry.manifest(&pull(repository), &reference).await {
        Ok(found) => Some(found.stat.digest),
        Err(Error::ManifestUnknown(_) | Error::RepositoryUnknown(_) | Error::Gone(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

fn left(imported: &Imported) -> Vec<&str> {
    imported.tags_left.iter().map(|left| left.tag.as_str()).collect()
}

fn refusal<T>(outcome: Result<T, Error>) -> BundleError {
    match outcome {
        Err(Error::Bundle(error)) => error,
        Err(other) => panic!("not a refusal: {other:?}"),
        Ok(_) => panic!("not refused"),
    }
}

/// An index of two images.
async fn push_index(registry: &Registry, at: &str, seed: u64) -> Digest {
    let repository = at.split(':').next().unwrap();
    let mut children = Vec::new();
    for number in 0..2 {
        let tag = format!("{repository}:child-{seed}-{number}");
        push_image(registry, &tag, seed + number).await;
        let reference = tag.split_once(':').unwrap().1.parse().unwrap();
        let found = registry.manifest(&pull(repository), &reference).await.unwrap();
        children.push(serde_json::json!({
            "mediaType": found.stat.media_type, "digest": found.stat.digest.to_string(), "size": found.stat.size,
        }));
    }
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": children,
    });
    push_manifest(registry, at, serde_json::to_vec(&index).unwrap())
        .await
        .unwrap()
}

struct Sites {
    house: House,
    other: House,
    place: tempfile::TempDir,
}

impl Sites {
    fn new() -> Self {
        Self {
            house: House::new(),
            other: House::new(),
            place: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}

#[tokio::test]
async fn everything_comes_to_the_other_side_once_and_increments_bring_the_rest() {
    let sites = Sites::new();
    let (here, there) = (sites.house.open().await, sites.other.open().await);
    push_image(&here, "team/a:1", 1).await;
    push_image(&here, "team/a:2", 2).await;
    push_image(&here, "b:1", 1).await;
    let index = push_index(&here, "b:all", 30).await;
    let first = sites.file("first.tar");
    let written = write(&here, &first, &[], None).await.unwrap();
    assert_eq!(
        (written.repositories, written.manifests, written.base.clone()),
        (2, 6, None)
    );
    let brought = import(&there, &first).await.unwrap();
    assert_eq!(brought.manifests_brought, 6);
    assert_eq!(led(&there, "b", "all").await, Some(index));
    assert_eq!(expect_whole(&there, "team/a").await, 6);
    expect_whole(&there, "b").await;
    let again = import(&there, &first).await.unwrap();
    assert_eq!(
        (again.manifests_brought, again.blobs_brought, again.tags),
        (0, 0, 0),
        "{again:?}"
    );

    // What comes since: a new image, a tag that moves back, a tag and a repository that are new, a tag that goes.
    push_image(&here, "team/a:3", 3).await;
    push_image(&here, "team/a:2", 1).await;
    push_image(&here, "c:1", 9).await;
    here.delete_manifest(&delete("b"), &"1".parse().unwrap())
        .await
        .unwrap();
    let second = sites.file("second.tar");
    let written = write(&here, &second, &[], Some(Since::Bundle(first.clone())))
        .await
        .unwrap();
    assert_eq!(written.repositories, 3);
    let record = describe(&second).unwrap();
    assert_eq!(record.base.unwrap().id.unwrap(), again.id);
    assert!(
        record
            .repositories
            .iter()
            .find(|one| one.name == "c")
            .unwrap()
            .whole
    );
    assert!(fs::metadata(&second).unwrap().len() < fs::metadata(&first).unwrap().len());
    let brought = import(&there, &second).await.unwrap();
    assert_eq!(
        (brought.tags_removed, brought.tags_left.len()),
        (1, 0),
        "{brought:?}"
    );
    for (repository, tag) in [
        ("team/a", "1"),
        ("team/a", "2"),
        ("team/a", "3"),
        ("b", "1"),
        ("b", "all"),
        ("c", "1"),
    ] {
        assert_eq!(
            led(&there, repository, tag).await,
            led(&here, repository, tag).await,
            "{repository}:{tag}"
        );
    }
    expect_whole(&there, "team/a").await;
    expect_whole(&there, "c").await;

    // `last` is the second one; nothing came since, and that is a bundle too.
    let third = sites.file("third.tar");
    let written = write(&here, &third, &[], Some(Since::Last)).await.unwrap();
    assert_eq!(
        (written.repositories, written.base.unwrap().id),
        (0, Some(record.id))
    );
    import(&there, &third).await.unwrap();
    push_image(&here, "b:5", 5).await;
    let fourth = sites.file("fourth.tar");
    write(&here, &fourth, &[], Some(Since::Last)).await.unwrap();
    import(&there, &fourth).await.unwrap();
    assert_eq!(led(&there, "b", "5").await, led(&here, "b", "5").await);
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn an_increment_that_does_not_fit_is_refused_and_says_what_it_needs() {
    let sites = Sites::new();
    let (here, there) = (sites.house.open().await, sites.other.open().await);
    push_image(&here, "a:1", 1).await;
    let (first, second) = (sites.file("1.tar"), sites.file("2.tar"));
    let base = write(&here, &first, &[], None).await.unwrap();
    // A new manifest over a layer that is in the first one only.
    let config = push_in_parts(&here, "a", b"another config").await.unwrap();
    let layer = crate::house::digest_of(&noise(1, 60_000));
    push_manifest(
        &here,
        "a:2",
        crate::house::image(&config, std::slice::from_ref(&layer)),
    )
    .await
    .unwrap();
    write(&here, &second, &[], Some(Since::Last)).await.unwrap();
    let error = refusal(import(&there, &second).await);
    let BundleError::Gap { before, count: 1, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(before.id.as_ref(), Some(&base.id));
    assert!(error.to_string().contains("a (never)"), "{error}");
    assert_eq!(
        there
            .repositories(&access::Caller::anybody(), None, 10)
            .await
            .unwrap()
            .0
            .len(),
        0
    );
    import(&there, &first).await.unwrap();
    import(&there, &second).await.unwrap();
    assert_eq!(led(&there, "a", "2").await, led(&here, "a", "2").await);
    // A site that has lost what the first one brought.
    let poor = House::new();
    let lost = poor.open().await;
    import(&lost, &first).await.unwrap();
    lost.delete_repository(&delete("a")).await.unwrap();
    let error = refusal(import(&lost, &second).await);
    let BundleError::DoesNotFit {
        base: named,
        base_is_here: true,
        count: 1,
        first: missing,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(named.as_ref(), Some(&base.id));
    assert!(missing[0].contains(&layer.to_string()), "{error}");
    lost.close().await;
    // A tag that the other side set itself is its own.
    push_image(&there, "a:2", 7).await;
    here.delete_manifest(&delete("a"), &"2".parse().unwrap())
        .await
        .unwrap();
    let third = sites.file("3.tar");
    write(&here, &third, &[], Some(Since::Last)).await.unwrap();
    let brought = import(&there, &third).await.unwrap();
    assert_eq!(left(&brought), ["a:2"]);
    let foreign = refusal(
        write(
            &there,
            &sites.file("4.tar"),
            &[],
            Some(Since::Bundle(first.clone())),
        )
        .await,
    );
    assert!(matches!(foreign, BundleError::Foreign(_)), "{foreign}");
    let taken = refusal(write(&here, &first, &[], None).await);
    assert!(matches!(taken, BundleError::Exists(_)), "{taken}");
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn a_bundle_that_was_cut_off_or_changed_changes_nothing() {
    let sites = Sites::new();
    let (here, there) = (sites.house.open().await, sites.other.open().await);
    push_image(&here, "a:1", 1).await;
    push_image(&here, "a:2", 2).await;
    let path = sites.file("bundle.tar");
    write(&here, &path, &[], None).await.unwrap();
    let whole = fs::read(&path).unwrap();
    let bad = sites.file("bad.tar");
    for length in [0, 1, 511, 512, 700, 5_000, whole.len() / 2, whole.len() - 3_000] {
        fs::write(&bad, &whole[..length]).unwrap();
        let error = refusal(import(&there, &bad).await);
        assert!(matches!(error, BundleError::Damaged { .. }), "{length}: {error}");
    }
    // One byte anywhere: in a document, a name, a manifest, a layer. It is refused, or it was of no meaning.
    for step in 0..60 {
        let at = whole.len() * step / 60;
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        fs::write(&bad, &changed).unwrap();
        match import(&there, &bad).await {
            Ok(_)
            | Err(Error::Bundle(
                BundleError::Damaged { .. }
                | BundleError::Gap { .. }
                | BundleError::DoesNotFit { .. }
                | BundleError::Read { .. },
            )) => {}
            Err(other) => panic!("byte {at}: {other:?}"),
        }
        if there.tags(&pull("a"), None, None).await.is_ok() {
            expect_whole(&there, "a").await;
        }
    }
    let layer = whole
        .windows(32)
        .position(|bytes| bytes == &noise(1, 60_000)[..32])
        .unwrap();
    let mut changed = whole.clone();
    changed[layer + 100] ^= 1;
    fs::write(&bad, &changed).unwrap();
    let error = refusal(import(&there, &bad).await);
    assert!(error.to_string().contains("blobs/sha256/"), "{error}");
    import(&there, &path).await.unwrap();
    assert_eq!(expect_whole(&there, "a").await, 6);
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn an_import_that_is_stopped_shows_no_tag_and_goes_on_later() {
    let sites = Sites::new();
    let (here, there) = (sites.house.open().await, sites.other.open().await);
    for number in 0..6 {
        push_image(&here, &format!("a:{number}"), number).await;
    }
    let path = sites.file("bundle.tar");
    write(&here, &path, &[], None).await.unwrap();
    let stop = CancellationToken::new();
    let at_the_fourth = {
        let stop = stop.clone();
        move |reached: &registry::backup::Reached| {
            if reached.blobs == 4 {
                stop.cancel();
            }
        }
    };
    let stopped = there.import_bundle(&path, None, at_the_fourth, &stop).await;
    assert!(
        matches!(stopped, Err(Error::Bundle(BundleError::Stopped))),
        "{stopped:?}"
    );
    assert_eq!(led(&there, "a", "0").await, None);
    let brought = import(&there, &path).await.unwrap();
    assert!(brought.blobs_brought < brought.blobs, "{brought:?}");
    assert_eq!(expect_whole(&there, "a").await, 18);
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn unpacked_it_is_an_image_layout_and_what_is_damaged_here_is_named() {
    let sites = Sites::new();
    let here = sites.house.open().await;
    let blobs = push_image(&here, "team/a:1", 1).await;
    push_image(&here, "b:1", 1).await;
    let path = sites.file("bundle.tar");
    write(&here, &path, &["b", "team/a", "b"], None).await.unwrap();
    let folder = sites.file("unpacked");
    tar::Archive::new(fs::File::open(&path).unwrap())
        .unpack(&folder)
        .unwrap();
    for repository in ["team/a", "b"] {
        let index: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join(repository).join("index.json")).unwrap()).unwrap();
        let digest = index["manifests"][0]["digest"]
            .as_str()
            .unwrap()
            .split_once(':')
            .unwrap()
            .1;
        assert!(folder.join(repository).join("blobs/sha256").join(digest).exists());
        assert_eq!(
            index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"],
            "1"
        );
        let layer = folder.join(repository).join("blobs/sha256").join(blobs[0].hex());
        assert_eq!(fs::read(layer).unwrap(), noise(1, 60_000));
    }
    let unknown = write(&here, &sites.file("x.tar"), &["zzz"], None).await;
    assert!(matches!(unknown, Err(Error::RepositoryUnknown(_))), "{unknown:?}");
    let none = refusal(
        write(
            &sites.other.open().await,
            &sites.file("x.tar"),
            &[],
            Some(Since::Last),
        )
        .await,
    );
    assert!(matches!(none, BundleError::NoLast), "{none}");
    for file in crate::house::walk(&sites.house.path().join("landfall/blobs")) {
        fs::write(file, noise(77, 60_000)).unwrap();
    }
    let error = refusal(write(&here, &sites.file("y.tar"), &[], None).await);
    assert!(matches!(error, BundleError::Source { .. }), "{error}");
    assert_eq!(
        fs::read_dir(sites.place.path()).unwrap().count(),
        2,
        "nothing half stays"
    );
    here.close().await;
}

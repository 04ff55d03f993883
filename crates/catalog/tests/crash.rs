//! What is acknowledged survives a process that is killed, and a disk that refuses a commit ends all writes.
//!
//! This program is its own child: `crash child <work> <file>` pushes into a catalog and prints what was acknowledged,
//! until it is killed or the disk refuses. Blob `n` of worker `w` has the content `w:n`.
#![expect(clippy::unwrap_used, reason = "a test, with a main of its own")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use catalog::{
    Catalog, Edge, EdgeKind, Error, NewBlob, NewManifest, Place, Precondition, PutManifest, SqliteOptions,
};
use oci::{Digest, RepositoryName};
use sha2::{Digest as _, Sha256};

const WORKERS: usize = 8;
const LEASE: i64 = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "child") {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        return runtime.block_on(child(&arguments[at + 1], Path::new(&arguments[at + 2])));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (name, story) in [
        (
            "a_killed_process_keeps_what_it_acknowledged",
            killed as fn(&tokio::runtime::Runtime),
        ),
        ("a_kill_inside_a_transaction_leaves_nothing_of_it", killed_inside),
        (
            "a_process_that_is_killed_while_it_collects_keeps_what_is_needed",
            killed_collecting,
        ),
        (
            "a_commit_that_the_disk_refuses_ends_all_writes_and_loses_nothing",
            refused,
        ),
    ] {
        story(&runtime);
        println!("test {name} ... ok");
    }
}

/// Kills a busy writer after more and more acknowledgements; each time everything acknowledged is there.
fn killed(runtime: &tokio::runtime::Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    let mut all = Vec::new();
    for round in 0..12 {
        let (mut child, mut lines) = start("push", &path, None);
        let acknowledged: Vec<String> = lines.by_ref().take(1 + round * 17).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        all.extend(acknowledged);
        // What was printed before the kill and not yet read counts too.
        all.extend(lines.filter(|line| line.contains(':')));
        runtime.block_on(check(&path, &all));
    }
    assert!(all.len() > 500, "{} acknowledgements", all.len());
}

fn killed_inside(runtime: &tokio::runtime::Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    let (mut child, mut lines) = start("hang", &path, None);
    assert_eq!(lines.next().as_deref(), Some("0:0"));
    assert_eq!(lines.next().as_deref(), Some("inside"));
    child.kill().unwrap();
    child.wait().unwrap();
    runtime.block_on(async {
        check(&path, &["0:0".to_owned()]).await;
        let catalog = open(&path);
        assert!(!serves(&catalog, "half").await);
        catalog.close().await;
    });
}

/// Half of what is pushed is deleted at once, and everything that nothing holds is collected without any delay.
fn killed_collecting(runtime: &tokio::runtime::Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    let mut all = Vec::new();
    for round in 0..8 {
        let (mut child, mut lines) = start("collect", &path, None);
        all.extend(lines.by_ref().take(1 + round * 11));
        child.kill().unwrap();
        child.wait().unwrap();
        all.extend(lines.filter(|line| line.contains(':')));
        runtime.block_on(check(&path, &all));
    }
    assert!(all.len() > 100, "{} acknowledgements", all.len());
}

/// A limit on the size of files stands in for a disk that fails: the write of the log is refused, and not for want
/// of space.
fn refused(runtime: &tokio::runtime::Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("landfall.db");
    runtime.block_on(open(&path).close());
    let (child, lines) = start("push", &path, Some(1024));
    let lines: Vec<String> = lines.collect();
    let (told, acknowledged): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| !line.contains(':'));
    assert!(wait(child).success(), "{told:?}");
    assert!(
        told.iter().any(|line| line == "unknown"),
        "those in the refused commit cannot know: {told:?}"
    );
    assert!(
        told.iter().any(|line| line == "broken"),
        "all that come after are refused: {told:?}"
    );
    assert!(told.iter().any(|line| line == "reads go on"), "{told:?}");
    assert!(!acknowledged.is_empty());
    runtime.block_on(check(&path, &acknowledged));
}

fn wait(mut child: Child) -> ExitStatus {
    child.wait().unwrap()
}

/// Starts this program as a child, with files of at most so many KiB.
fn start(work: &str, path: &Path, kib_max: Option<u64>) -> (Child, impl Iterator<Item = String> + use<>) {
    let program = std::env::current_exe().unwrap();
    // Without the trap, the kernel ends whoever writes beyond the limit, instead of refusing the write.
    let limit = kib_max.map_or(String::new(), |kib| format!("trap '' XFSZ; ulimit -f {kib}; "));
    let mut child = Command::new("bash")
        .args(["-c", &format!("{limit}exec \"$0\" child \"$1\" \"$2\"")])
        .arg(program)
        .args([work.as_ref(), path.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    (child, lines)
}

/// Everything acknowledged is served, and the file is sound.
async fn check(path: &Path, acknowledged: &[String]) {
    let catalog = open(path);
    for content in acknowledged {
        assert!(
            serves(&catalog, content).await,
            "{content} was acknowledged and is gone"
        );
    }
    let wrong = catalog.read(catalog::audit).await.unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    catalog.close().await;
    let raw = rusqlite::Connection::open(path).unwrap();
    let sound: String = raw
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    assert!(
        !raw.prepare("PRAGMA foreign_key_check")
            .unwrap()
            .exists([])
            .unwrap()
    );
}

fn open(path: &Path) -> Catalog {
    Catalog::open_sqlite(path, SqliteOptions { readers: 1 }).unwrap()
}

fn repo() -> RepositoryName {
    "a".parse().unwrap()
}

fn digest(content: &str) -> Digest {
    Digest::Sha256(Sha256::digest(content).into())
}

async fn serves(catalog: &Catalog, content: &str) -> bool {
    let wanted = digest(content);
    catalog
        .read(move |tx| catalog::find_blob(tx, &repo(), &wanted, 0, LEASE))
        .await
        .unwrap()
        .is_some()
}

fn blob(content: &str) -> NewBlob {
    NewBlob {
        repo: repo(),
        digest: digest(content),
        size: content.len() as u64,
        place: Place::Inline(content.as_bytes().to_vec()),
        upload: None,
        now: 0,
        lease_ms: LEASE,
        grace_ms: 0,
    }
}

fn say(line: &str) {
    // Straight to the pipe: what is still in a buffer of ours would die with us.
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

async fn child(work: &str, path: &Path) {
    let catalog = open(path);
    if work == "hang" {
        let first = blob("0:0");
        catalog
            .write(move |tx| catalog::publish_blob(tx, &first))
            .await
            .unwrap();
        say("0:0");
        let half = blob("half");
        let hang = catalog.write(move |tx| -> Result<(), Error> {
            catalog::publish_blob(tx, &half)?;
            say("inside");
            loop {
                std::thread::park();
            }
        });
        hang.await.unwrap();
    }
    if work == "collect" {
        let (first, second) = (push_and_delete(&catalog, 0), push_and_delete(&catalog, 1));
        tokio::join!(first, second, collect(&catalog));
    }
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| tokio::spawn(push(catalog.clone(), worker)))
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    // Only a refused commit leads here.
    catalog.broken().await;
    assert!(catalog.is_broken());
    catalog.read(|_| Ok(())).await.unwrap();
    say("reads go on");
}

/// Pushes until the disk refuses.
async fn push(catalog: Catalog, worker: usize) {
    let begun = std::process::id();
    for n in 0.. {
        let content = format!("{worker}:{begun}-{n}");
        let new = blob(&content);
        match catalog.write(move |tx| catalog::publish_blob(tx, &new)).await {
            Ok(_) => say(&content),
            Err(error @ Error::CommitUnknown { .. }) => {
                assert!(!error.is_surely_not_committed());
                say("unknown");
            }
            Err(Error::Broken) => {
                say("broken");
                return;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Pushes images for ever, and deletes every second one. The collector may take a layer before its image comes: then it
/// is sent again, as clients do.
async fn push_and_delete(catalog: &Catalog, worker: usize) {
    let begun = std::process::id();
    for n in 0.. {
        let content = format!("{worker}:{begun}-{n}");
        let image = image(&content);
        loop {
            let (layer, image) = (blob(&content), image.clone());
            catalog
                .write(move |tx| catalog::publish_blob(tx, &layer))
                .await
                .unwrap();
            let put = catalog
                .write(move |tx| catalog::put_manifest(tx, &image))
                .await
                .unwrap();
            if matches!(put, PutManifest::Stored { .. }) {
                break;
            }
        }
        if n % 2 == 0 {
            say(&content);
            continue;
        }
        let deleted = image.digest;
        catalog
            .write(move |tx| catalog::trash_manifest(tx, &repo(), &deleted, 0, 0, None))
            .await
            .unwrap();
    }
}

async fn collect(catalog: &Catalog) {
    loop {
        let step = |tx: &mut catalog::Tx<'_>| {
            catalog::review_manifests(tx, LEASE, 0, 5)?;
            catalog::purge(tx, LEASE, 0, 5)?;
            catalog::review_links(tx, LEASE, 0, 5)?;
            Ok(())
        };
        catalog.maintain(step).await.unwrap();
    }
}

fn image(layer: &str) -> NewManifest {
    let body = format!("image of {layer}");
    NewManifest {
        repo: repo(),
        digest: digest(&body),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        artifact_type: None,
        annotations: None,
        subject: None,
        blobs: vec![Edge {
            ord: 0,
            digest: digest(layer),
            size: layer.len() as u64,
            kind: EdgeKind::Layer,
            required: true,
        }],
        children: Vec::new(),
        body: body.into(),
        tags: Vec::new(),
        precondition: Precondition::None,
        now: 0,
        keep_ms: 0,
        actor: None,
    }
}

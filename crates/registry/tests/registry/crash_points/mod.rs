//! Every write path is stopped at each of its points while the collector works; what is left is opened again, and everything
//! that was acknowledged is still true.
//!
//! The story runs once, on a disk in memory. Before each change that anybody makes to that disk, and after each step, it is
//! as if the machine stopped there: the disk is copied, as a killed process leaves it and as a power cut may, and the
//! catalog as it was committed then (a commit is one durable step). `story` is what is done, `facts` what was promised,
//! `recovery` what must hold afterwards.

mod facts;
mod recovery;
mod story;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use store::testing::{Fate, FaultyFiles, Op, SimDisk};
use tempfile::TempDir;
use tokio::task::JoinSet;

use facts::{Facts, Moment};
use story::Story;

/// What a cut by chance may do, beside keeping and losing everything.
const CHANCES: u64 = 2;
/// Points that are looked at at once.
const AT_ONCE: usize = 4;

/// The machine as it was when it stopped.
struct Point {
    name: String,
    disks: Vec<(Fate, SimDisk)>,
    catalog: PathBuf,
    facts: Facts,
    now: i64,
}

/// Takes the points.
struct Camera {
    disk: SimDisk,
    folder: PathBuf,
    /// Locks the catalog's writer out while a picture is taken: commits and files must be of one moment.
    lock: Connection,
    reader: Connection,
    points: Vec<Point>,
}

impl Camera {
    fn new(disk: SimDisk, catalog: &Path, folder: PathBuf) -> Self {
        let lock = Connection::open(catalog).unwrap();
        lock.busy_timeout(std::time::Duration::from_mins(1)).unwrap();
        let reader = Connection::open(catalog).unwrap();
        reader.pragma_update(None, "synchronous", "OFF").unwrap();
        Self {
            disk,
            folder,
            lock,
            reader,
            points: Vec::new(),
        }
    }

    fn take(&mut self, moment: &Moment, when: &str) {
        self.lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        // Asked now, when nothing can be committed: what is certain is so in the picture too.
        let (step, facts, now) = moment.now();
        let number = self.points.len() as u64;
        let chances = (0..CHANCES).map(|chance| Fate::Random(number * CHANCES + chance));
        let fates = [Fate::KeepAll, Fate::LoseAll].into_iter().chain(chances);
        let disks = fates.map(|fate| (fate, self.disk.after_the_cut(fate))).collect();
        let catalog = self.folder.join(format!("{number}.db"));
        self.reader
            .execute("VACUUM INTO ?1", [catalog.to_str().unwrap()])
            .unwrap();
        self.lock.execute_batch("ROLLBACK").unwrap();
        self.points.push(Point {
            name: format!("point {number}, {step}, {when}"),
            disks,
            catalog,
            facts,
            now,
        });
    }
}

/// Whether a call changes what the disk keeps.
fn is_change(op: Op) -> bool {
    !matches!(op, Op::Read | Op::Open | Op::OpenDirect | Op::Reserve)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_path_can_be_stopped_at_every_point_while_garbage_is_collected() {
    let folder = TempDir::new().unwrap();
    let disk = SimDisk::default();
    let files = FaultyFiles::new(Arc::new(disk.clone()));
    let catalog = folder.path().join("landfall.db");
    let story = Story::open(&files, &catalog).await;
    let camera = Arc::new(Mutex::new(Camera::new(disk, &catalog, folder.path().to_owned())));
    {
        let (camera, moment) = (Arc::clone(&camera), story.moment());
        files.watch(move |op| {
            if is_change(op) {
                camera.lock().unwrap().take(&moment, &format!("before {op:?}"));
            }
        });
    }
    let moment = story.moment();
    let after = || camera.lock().unwrap().take(&moment, "at its end");
    story.run(after).await;
    files.unwatch();
    let points = std::mem::take(&mut camera.lock().unwrap().points);
    println!("{} points", points.len());
    assert!(points.len() > 100, "only {} points", points.len());
    for step in story::STEPS {
        assert!(
            points.iter().any(|point| point.name.contains(step)),
            "no point in {step}"
        );
    }

    let mut looks = JoinSet::new();
    for point in points {
        while looks.len() >= AT_ONCE {
            looks.join_next().await.unwrap().unwrap();
        }
        looks.spawn(async move {
            for (fate, disk) in point.disks {
                let name = format!("{}, {fate:?}", point.name);
                recovery::look_at(&name, disk, &point.catalog, &point.facts, point.now).await;
            }
        });
    }
    while let Some(looked) = looks.join_next().await {
        looked.unwrap();
    }
}

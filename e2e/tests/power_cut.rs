//! The power fails while clients push; what was acknowledged before must be there when it comes back, whole.
//! Then the same with a server that collects garbage without pause, while clients delete and take deletes back.
//!
//! The data lie on an ext4 in a file, and that file on an XFS. A clone of the file, made in one step, is the disk as it was
//! in that moment: `e2e::disks` says what such a cut keeps and what it loses. The clone is mounted, which replays its journal,
//! a second server is started on it, and is held against the acknowledgements that clients had before the clone began.
//! Each cut carries its own proof that it cuts: a file written without `fsync` must be lost, one with it must be there.
//!
//! `POWER_CUTS` sets how often (8 unless said otherwise), `SEED` which dice are thrown.

#![expect(clippy::expect_used, reason = "helpers of a test fail it")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use e2e::audit::Audit;
use e2e::dice::Dice;
use e2e::disks::{Disk, FileSystem, cut};
use e2e::hasty::{self, Door, Windows};
use e2e::landfall::{Landfall, Launch, program};
use e2e::load::Load;

const CLIENTS: usize = 4;
const CUTS: u64 = 8;
const GIB: u64 = 1 << 30;

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    let start = |data: &Path| {
        let landfall = Launch::with_data(&program(), data).start();
        let address = landfall.address();
        (landfall, move |clients, seed| Load::start(address, clients, seed))
    };
    let again = |data: &Path| Launch::with_data(&program(), data).start();
    cut_again_and_again(start, again, |_, _| {});
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_while_garbage_is_collected() {
    let windows = Windows::default();
    let start = |data: &Path| {
        let landfall = windows.launch(data).start();
        let (address, data) = (landfall.address(), data.to_owned());
        let load = move |clients, seed| Load::start_collected(address, clients, seed, &data, windows);
        (landfall, load)
    };
    let again = |data: &Path| windows.launch(data).start();
    cut_again_and_again(start, again, |mut revived, data| {
        let mut door = Door::of(data).expect("the server is there");
        println!("orphans: {}", door.ask("scan").expect("the server answers"));
        revived.stop();
        hasty::check(data).expect_clean();
    });
}

/// `start` gives the first server, and who sets clients to work with it; `again` starts one on what a cut left; `then` gets
/// that one after its look, and its folder.
fn cut_again_and_again<L: FnOnce(usize, u64) -> Load>(
    start: impl FnOnce(&Path) -> (Landfall, L),
    again: impl Fn(&Path) -> Landfall,
    then: impl Fn(Landfall, &Path),
) {
    let mut dice = Dice::new(Dice::seed_of_run());
    let cuts = std::env::var("POWER_CUTS").map_or(CUTS, |text| text.parse().expect("POWER_CUTS is a number"));
    let folder = tempfile::tempdir().expect("a folder for the disks");
    let at = |name: &str| folder.path().join(name);
    let xfs = Disk::make(FileSystem::Xfs, &at("xfs.img"), 24 * GIB, &at("xfs"));
    let image = xfs.folder().join("ext4.img");
    let ext4 = Disk::make(FileSystem::Ext4, &image, 8 * GIB, &at("ext4"));
    let data = |disk: &Disk| disk.folder().join("data");
    fs::create_dir(data(&ext4)).expect("a folder for the data");

    let (landfall, load) = start(&data(&ext4));
    let load = load(CLIENTS, dice.throw());
    for number in 0..cuts {
        std::thread::sleep(Duration::from_millis(1_000 + dice.below(3_000)));
        let clone = xfs.folder().join(format!("cut-{number}.img"));
        let witness = Witness::write(ext4.folder(), number);
        let promised = load.ledger().clone();
        cut(&image, &clone);
        let attempted = load.ledger().clone();

        let hold = load.hold(); // only to be kind to two cores: the first server keeps running
        let after = Disk::attach(&clone, &at("after"));
        witness.check(after.folder());
        let revived = again(&data(&after));
        println!("cut {number}: {}", promised.summary());
        let audit = Audit::of(revived.address(), &promised, &attempted);
        println!("cut {number}: {}", audit.summary());
        audit.expect_clean();
        then(revived, &data(&after));
        drop((after, hold));
        fs::remove_file(&clone).expect("a clone can be removed");
    }
    println!("at the end: {}", load.end().summary());
    drop(landfall);
    drop(ext4);
}

/// Two files beside the data: one that `fsync` saved, one that only the page cache knows.
struct Witness {
    number: u64,
}

impl Witness {
    const WORDS: &[u8] = b"the power is on";

    fn write(disk: &Path, number: u64) -> Self {
        let mut saved = File::create_new(disk.join(format!("saved-{number}"))).expect("a file on the disk");
        saved.write_all(Self::WORDS).expect("the disk has room");
        saved.sync_all().expect("the disk is well");
        File::open(disk)
            .and_then(|folder| folder.sync_all())
            .expect("the disk is well");
        let mut unsaved =
            File::create_new(disk.join(format!("unsaved-{number}"))).expect("a file on the disk");
        unsaved.write_all(Self::WORDS).expect("the disk has room");
        Self { number }
    }

    fn check(&self, disk: &Path) {
        let read = |name: &str| fs::read(disk.join(format!("{name}-{}", self.number))).unwrap_or_default();
        assert_eq!(
            read("saved"),
            Self::WORDS,
            "the cut lost what was synced: it cuts too much"
        );
        assert_ne!(
            read("unsaved"),
            Self::WORDS,
            "the cut kept what was never synced: it proves nothing"
        );
    }
}

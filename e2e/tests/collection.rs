//! Garbage goes while clients push and pull: nothing is lost, and in the end nothing is left.
//!
//! The server is `hasty`, whose windows are seconds and whose collector never rests. `COLLECTION_ROUNDS` sets how much the
//! clients do (1,000 rounds unless said otherwise, half a minute or so), `SEED` which dice are thrown.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::audit::Audit;
use e2e::client::{Client, Found, Trouble, Way, digest};
use e2e::command::{program, run};
use e2e::dice::Dice;
use e2e::disks::{Disk, FileSystem};
use e2e::hasty::{self, Door, Windows, bytes_below, wait_until};
use e2e::http::{Connection, Request};
use e2e::image::Image;
use e2e::load::Load;
use sha2::{Digest as _, Sha256};

const MIB: usize = 1 << 20;
const CLIENTS: usize = 4;
const ROUNDS: u64 = 1_000;
const REPO: &str = "team/app";

#[test]
fn nothing_is_lost_under_load_and_nothing_is_left_when_all_is_deleted() {
    let mut dice = Dice::new(Dice::seed_of_run());
    let rounds = std::env::var("COLLECTION_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let windows = Windows::default();
    let mut landfall = windows.launch(folder.path()).start();
    let load = Load::start_collected(landfall.address(), CLIENTS, dice.throw(), folder.path(), windows);
    while load.rounds() < rounds && load.is_well() {
        std::thread::sleep(Duration::from_millis(50));
    }
    // Fails with what was refused: any 5xx, a blob unknown to who was fast enough, anything lost.
    let ledger = load.end();
    let mut door = Door::of(folder.path()).unwrap();
    let collected = door.ask("collected").unwrap();
    println!("{rounds} rounds; {}; collected: {collected}", ledger.summary());
    assert!(
        !collected.contains("files 0"),
        "nothing was collected meanwhile: {collected}"
    );
    let audit = Audit::of(landfall.address(), &ledger, &ledger);
    println!("{}", audit.summary());
    audit.expect_clean();

    let mut client = Client::connect(landfall.address()).unwrap();
    for (name, digest) in ledger.manifests.keys() {
        let target = format!("/v2/{name}/manifests/{digest}");
        client
            .expect(&[202, 404], Request::new("DELETE", &target))
            .unwrap();
    }
    for session in &ledger.sessions {
        client.cancel_upload(session).unwrap();
    }
    wait_until_nothing_waits(&mut door);
    landfall.stop();
    hasty::check(folder.path()).expect_empty();
}

#[test]
fn a_pull_that_is_under_way_gets_every_byte_of_a_blob_that_is_swept_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let windows = Windows {
        lease: Duration::from_secs(1),
        ..Windows::default()
    };
    let landfall = windows.launch(folder.path()).start();
    let image = Image::of_layers(vec![Dice::new(7).bytes(48 * MIB)], "amd64", None);
    let mut client = Client::connect(landfall.address()).unwrap();
    push(&mut client, &image);
    let layer = digest(&image.blobs[0]);

    let blobs = folder.path().join("landfall/blobs");
    let meanwhile = || {
        client.delete_manifest(REPO, &image.descriptor().digest).unwrap();
        wait_until("the file of the layer is gone", || bytes_below(&blobs) == 0);
    };
    let mut slow = Slow {
        hash: Sha256::new(),
        meanwhile: Some(meanwhile),
    };
    let target = format!("/v2/{REPO}/blobs/{layer}");
    let answer = Connection::open(landfall.address())
        .unwrap()
        .fetch(Request::new("GET", &target), &mut slow)
        .unwrap();
    assert_eq!(answer.status, 200);
    assert!(slow.meanwhile.is_none(), "the pull was still under way");
    assert_eq!(e2e::client::text_of(slow.hash), layer);
    assert_eq!(client.pull_blob(REPO, &layer).unwrap(), Found::Nothing);
}

/// Somebody fills a disk, with images and with something else, deletes the images, and has the room again: on a disk so
/// full that not even a row can be written. The push that was refused passes then.
#[test]
fn a_disk_that_was_filled_has_its_room_again_when_the_images_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::make(
        FileSystem::Ext4,
        &folder.path().join("disk.img"),
        384 << 20,
        &folder.path().join("disk"),
    );
    let data = disk.folder().join("data");
    fs::create_dir(&data).unwrap();
    let windows = Windows {
        lease: Duration::from_secs(2),
        undo: Duration::from_secs(1),
        ..Windows::default()
    };
    let mut landfall = windows.launch(&data).start();
    let mut dice = Dice::new(3);
    let mut pushed = Vec::new();
    let refused = loop {
        let image = Image::of_layers(vec![dice.bytes(16 * MIB)], "amd64", None);
        // A refusal in the middle of a body may cost the connection.
        let mut client = Client::connect(landfall.address()).unwrap();
        match try_push(&mut client, &image) {
            Ok(()) => pushed.push(image.descriptor().digest),
            Err(Trouble::Refused(what)) if what.contains(": 507 ") => break image,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert!(pushed.len() > 3, "{} images fill the disk", pushed.len());
    let somebody_elses = disk.folder().join("somebody-elses-file");
    fill(&somebody_elses);

    let mut client = Client::connect(landfall.address()).unwrap();
    for manifest in &pushed {
        client.delete_manifest(REPO, manifest).unwrap();
    }
    let wanted = (pushed.len() * 16 * MIB) as u64 * 9 / 10;
    wait_until("the room of the images is back", || free(disk.folder()) >= wanted);
    wait_until("the push that was refused passes", || {
        try_push(&mut Client::connect(landfall.address()).unwrap(), &refused).is_ok()
    });
    assert_whole(&mut Client::connect(landfall.address()).unwrap(), &refused);
    landfall.stop();
    hasty::check(&data).expect_clean();
}

/// A year forward, and back: what was deleted can be restored for as long as was said, whatever the clock does.
#[test]
fn a_clock_that_jumps_a_year_deletes_nothing_early() {
    let folder = tempfile::tempdir().unwrap();
    let hour = Duration::from_hours(1);
    let windows = Windows {
        lease: hour,
        undo: hour,
        grace: Duration::from_mins(1),
    };
    let clock = folder.path().join("clock");
    fs::write(&clock, "+0").unwrap();
    let launch = windows
        .launch(folder.path())
        .env("LD_PRELOAD", fake_clock())
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut landfall = launch.start();
    let image = Image::of_layers(vec![Dice::new(11).bytes(MIB)], "amd64", None);
    let manifest = image.descriptor().digest;
    let mut client = Client::connect(landfall.address()).unwrap();
    push(&mut client, &image);

    let mut door = Door::of(folder.path()).unwrap();
    for jump in ["+365d", "-365d", "+0"] {
        client.delete_manifest(REPO, &manifest).unwrap();
        fs::write(&clock, jump).unwrap();
        // Each question is a turn of the collector.
        wait_until("the jump is noticed", || {
            door.ask("waits").unwrap().contains("Clock")
        });
        assert!(door.ask("waits").unwrap().contains("Clock"), "after {jump}");
        let restored = door.ask(&format!("restore {REPO} {manifest}")).unwrap();
        assert_eq!(restored, format!("done {manifest}"), "after {jump}");
        assert_whole(&mut client, &image);
    }

    // And it is the care for jumps that kept it: a server that starts in a year knows of none.
    client.delete_manifest(REPO, &manifest).unwrap();
    drop(client);
    landfall.stop();
    fs::write(&clock, "+730d").unwrap();
    let landfall = launch.start();
    let mut door = Door::of(folder.path()).unwrap();
    wait_until("the collector has had a turn", || {
        door.ask("waits").unwrap() == "none"
    });
    assert_eq!(door.ask(&format!("restore {REPO} {manifest}")).unwrap(), "gone");
    drop(landfall);
}

fn push(client: &mut Client, image: &Image) {
    try_push(client, image).unwrap();
}

fn try_push(client: &mut Client, image: &Image) -> Result<(), Trouble> {
    for blob in &image.blobs {
        client.push_blob(REPO, blob, Way::PostPut)?;
    }
    client.push_manifest(REPO, &image.descriptor().digest, &image.manifest)
}

fn assert_whole(client: &mut Client, image: &Image) {
    let manifest = client
        .pull_manifest(REPO, &image.descriptor().digest)
        .unwrap()
        .unwrap();
    assert_eq!(manifest.body, image.manifest);
    for blob in &image.blobs {
        let whole = Found::Bytes(digest(blob), blob.len() as u64);
        assert_eq!(client.pull_blob(REPO, &digest(blob)).unwrap(), whole);
    }
}

fn wait_until_nothing_waits(door: &mut Door) {
    wait_until("nothing waits to be collected", || {
        door.ask("pending").unwrap() == "0"
    });
}

/// The library between a program and its clock.
fn fake_clock() -> PathBuf {
    let ran = run(program("faketime").args(["-f", "+0", "env"])).succeeded();
    let words = ran.stdout();
    let library = words.lines().find_map(|line| line.strip_prefix("LD_PRELOAD="));
    PathBuf::from(library.unwrap())
}

fn free(folder: &Path) -> u64 {
    let found = rustix::fs::statvfs(folder).unwrap();
    found.f_bavail * found.f_frsize
}

/// Takes what room there is.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let mut piece = MIB;
    while piece > 0 {
        match file.write_all(&vec![1; piece]).and_then(|()| file.sync_all()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => piece /= 4,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Takes the first bytes of an answer, and does something before it takes the rest.
struct Slow<F: FnOnce()> {
    hash: Sha256,
    meanwhile: Option<F>,
}

impl<F: FnOnce()> Write for Slow<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! A restore that goes on or was cut off, and whoever comes to that folder meanwhile: a server, another restore, a look.

use std::fs::{self, File};

use crate::backups::{expect_served, fails, image, succeeds};
use crate::harness::server::Builder;
use crate::harness::{Image, Landfall, digest_of, noise};

/// A backup of `a:1` and `b:1` whose layer of `a:1` is damaged, as a path; and the server's home.
fn damaged_backup() -> (Builder, String) {
    let landfall = Landfall::start();
    let path = landfall.how().home().join("backups");
    let to = path.to_str().unwrap().to_owned();
    landfall.push("a", "1", &image("one"));
    landfall.push("b", "1", &image("two"));
    let data = landfall.how().data_dir().to_str().unwrap().to_owned();
    succeeds(
        &landfall
            .how()
            .run(&["backup", "--to", &to, "--data", &data, "--json"]),
    );
    let layer = digest_of(noise("one", 200_000));
    let hex = layer.strip_prefix("sha256:").unwrap();
    let file = path.join("blobs/sha256").join(&hex[..3]).join(hex);
    fs::write(&file, noise("something else", 200_000)).unwrap();
    (landfall.stop(), to)
}

#[test]
fn no_server_starts_beside_a_restore_that_goes_on_or_was_cut_off() {
    let (builder, to) = damaged_backup();
    let new = builder.home().join("new");
    let new_text = new.to_str().unwrap();
    let restore = ["restore", &to, "--data", new_text];
    let aside = new.join("landfall.restoring");
    // It stops at the damaged blob, and can go on from the good one.
    let stopped = builder.run(&restore);
    fails(&stopped, 7, "no registry was made of it");
    fails(&stopped, 7, "landfall.restoring");
    fails(&stopped, 7, "--partial");
    assert!(aside.exists());
    let bundle = builder.home().join("bundle.tar");
    let bundle = bundle.to_str().unwrap();
    let data = builder.data_dir().to_str().unwrap();
    let made = builder.run(&["export", bundle, "--layout", "bundle", "--data", data, "b"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let import = ["import", bundle, "--data", new_text];
    for command in [&["serve", "--data", new_text][..], &import] {
        let refused = builder.run(command);
        fails(&refused, 6, "run the same `landfall restore` again");
        fails(&refused, 6, "or remove that folder");
        assert!(!refused.stderr.contains("disk failed"), "{refused:?}");
    }
    fails(
        &builder.run(&["config", "check", "--data", new_text]),
        6,
        "landfall.restoring",
    );
    let doctor = builder.run(&["doctor", "--data", new_text]);
    assert_eq!(doctor.code, Some(7), "{doctor:?}");
    assert!(
        doctor.stdout.contains("rm -r") && doctor.stdout.contains("✗ restore"),
        "{doctor:?}"
    );
    // As a restore that goes on.
    let lock = File::options().write(true).open(aside.join("LOCK")).unwrap();
    lock.lock().unwrap();
    let going_on = "is being filled by a restore";
    fails(&builder.run(&["serve", "--data", new_text]), 6, going_on);
    fails(&builder.run(&restore), 6, going_on);
    drop(lock);
    assert!(
        !new.join("landfall").exists(),
        "the way is free for the same command"
    );
    fails(
        &builder.run(&[&restore[..], &["--partial"]].concat()),
        7,
        "no good bytes",
    );
    expect_served(&builder, &new, "b", "1", &image("two"));
}

#[test]
fn a_damaged_backup_of_which_nothing_is_good_leaves_nothing() {
    let landfall = Landfall::start();
    let to = landfall.how().home().join("backups");
    let only = Image::new("one").layer(noise("one", 200_000));
    landfall.push("a", "1", &only);
    let data = landfall.how().data_dir().to_str().unwrap().to_owned();
    let to_text = to.to_str().unwrap();
    succeeds(
        &landfall
            .how()
            .run(&["backup", "--to", to_text, "--data", &data, "--json"]),
    );
    fs::remove_dir_all(to.join("blobs")).unwrap();
    let new = landfall.how().home().join("new");
    let refused = landfall
        .how()
        .run(&["restore", to_text, "--data", new.to_str().unwrap()]);
    fails(&refused, 7, "missing or damaged");
    assert!(!new.join("landfall.restoring").exists());
    landfall.how().clone().data(&new).start().stop();
}

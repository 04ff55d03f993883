//! Changing a password file keeps everything that nobody asked to change.
//!
//! Source: Apache's `htpasswd`, whose files these are.
#![expect(
    clippy::unwrap_used,
    reason = "a story that cannot go on fails, and says where"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use access::{Draft, UserName, Users, WriteError};

const HASH: &str = "$2y$10$CAltBbVsVDIAwI5US5xFOeI8EGj5Vvl9addlyOktSpnY.r/y1rlRK";

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

/// What stands in a file of this text after `change`.
fn changed(text: &str, change: impl FnOnce(&mut Draft)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("htpasswd");
    fs::write(&path, text).unwrap();
    let mut draft = Draft::open(&path).unwrap();
    change(&mut draft);
    draft.save().unwrap();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    fs::read_to_string(&path).unwrap()
}

#[test]
fn the_other_lines_and_comments_stay_byte_for_byte() {
    let rest = "# the team\r\nann:$apr1$x$y \n\n  bob:old  \nno colon\n";
    let text = changed(&format!("{rest}busy:old\ncarl:x"), |draft| {
        draft.set(&user("busy"), HASH);
    });
    assert_eq!(text, format!("{rest}busy:{HASH}\ncarl:x"));
    let text = changed(&format!("{rest}carl:x"), |draft| draft.set(&user("busy"), HASH));
    assert_eq!(text, format!("{rest}carl:x\r\nbusy:{HASH}\r\n"));
    let text = changed("#busy:x\nbusybody:x\nbusy:x\n", |draft| {
        assert!(draft.remove(&user("busy")));
    });
    assert_eq!(text, "#busy:x\nbusybody:x\n");
}

#[test]
fn no_old_password_outlives_a_new_one() {
    let text = changed("busy:a\nann:b\nbusy:c\r\n", |draft| {
        draft.set(&user("busy"), HASH);
    });
    assert_eq!(text, format!("ann:b\nbusy:{HASH}\r\n"));
    let text = changed("busy:a\nann:b\nbusy:c\n", |draft| {
        assert!(draft.remove(&user("busy")));
    });
    assert_eq!(text, "ann:b\n");
}

#[test]
fn a_mark_of_utf8_in_front_hides_nobody() {
    let text = changed("\u{feff}busy:a\nann:b\n", |draft| draft.set(&user("busy"), HASH));
    assert_eq!(text, format!("\u{feff}busy:{HASH}\nann:b\n"));
}

#[test]
fn mode_and_link_stay_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("real"), folder.path().join("htpasswd"));
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    let mut draft = Draft::open(&link).unwrap();
    draft.set(&user("busy"), HASH);
    draft.save().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("busy:{HASH}\n"));
}

#[test]
fn a_file_that_is_made_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("htpasswd");
    let mut draft = Draft::open(&path).unwrap();
    assert!(!draft.exists());
    draft.set(&user("busy"), HASH);
    draft.save().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let missing = Draft::open(&folder.path().join("no/htpasswd"));
    assert!(matches!(missing, Err(WriteError::NoFolder(_))), "{missing:?}");
}

#[test]
fn two_who_write_at_once_both_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("htpasswd");
    let add = |name: String, path: &Path| {
        let mut draft = Draft::open(path).unwrap();
        draft.set(&user(&name), HASH);
        draft.save().unwrap();
    };
    std::thread::scope(|scope| {
        for number in 0..16 {
            let path = &path;
            scope.spawn(move || add(format!("user{number}"), path));
        }
    });
    let (users, warnings) = Users::parse(&path, &fs::read(&path).unwrap());
    assert_eq!((users.count(), warnings.len()), (16, 0));
}

#[test]
fn a_list_says_who_can_log_in_and_who_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("htpasswd");
    fs::write(&path, format!("# team\nbusy:{HASH}\nann:$apr1$x$y\n")).unwrap();
    let (listed, warnings) = Draft::open(&path).unwrap().list();
    let shown: Vec<_> = listed
        .iter()
        .map(|one| (&*one.name, one.line, one.cost.ok()))
        .collect();
    assert_eq!(shown, [("busy", 2, Some(10)), ("ann", 3, None)]);
    assert_eq!(warnings.len(), 1);
}

/// A single file that is mounted into a container cannot be replaced by a rename. (Needs root, for the mount.)
#[test]
fn a_file_that_is_a_mount_of_its_own_is_written_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (host, inside) = (folder.path().join("host"), folder.path().join("inside"));
    fs::write(&host, "ann:x\nbusy:a-much-longer-line-than-the-one-that-follows-because-it-has-to-shrink-in-place-too-and-then-some\n").unwrap();
    fs::write(&inside, "").unwrap();
    let run = |program: &str, args: &[&Path]| {
        let status = std::process::Command::new(program).args(args).status().unwrap();
        assert!(status.success(), "{program} works (this story needs root)");
    };
    run("mount", &[Path::new("--bind"), &host, &inside]);
    let change = |name: &str| {
        let mut draft = Draft::open(&inside)?;
        draft.set(&user(name), HASH);
        draft.save()
    };
    let outcome = change("busy").and_then(|()| change("carl"));
    let text = fs::read_to_string(&host);
    run("umount", &[&inside]);
    outcome.unwrap();
    assert_eq!(text.unwrap(), format!("ann:x\nbusy:{HASH}\ncarl:{HASH}\n"));
}

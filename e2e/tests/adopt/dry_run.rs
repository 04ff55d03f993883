//! A dry run says what the real run then does: what is linked and what must be copied, whoever asks and whatever is mounted
//! where, and the same of a registry that is only known by its address, also of one that answers some requests with errors.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use e2e::client::Client;
use e2e::command::{program, run};
use e2e::containers::Containers;
use e2e::dice::Dice;
use e2e::image::Image;
use e2e::landfall;
use e2e::old_registry::{OldRegistry, fingerprint};
use serde_json::Value;

use crate::folder::{Tree, answer, landfall_says, serve, without_settings};

const NOBODY: u32 = 65534;

fn image(seed: u64) -> Image {
    let mut dice = Dice::new(seed);
    Image::of_layers(vec![dice.bytes(60_000), dice.bytes(30_000)], "amd64", None)
}

/// A tree with three images, two of which share their layers.
fn plant(root: PathBuf) -> Tree {
    let tree = Tree(root);
    tree.put("team", "1", &image(1));
    tree.put("team/app", "1", &image(1));
    tree.put("team/app", "2", &image(2));
    tree
}

/// Both runs, as this user; what the first said and what the second did.
fn twice(as_user: Option<u32>, root: &Path, data: &Path, program_path: &Path) -> [Value; 2] {
    [true, false].map(|is_dry| {
        let mut command = match as_user {
            Some(user) => {
                let mut command = program("setpriv");
                let id = user.to_string();
                command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
                command.arg(program_path);
                command
            }
            None => program(&program_path.display().to_string()),
        };
        command
            .arg("adopt")
            .arg(root)
            .arg("--data")
            .arg(data)
            .arg("--json");
        if is_dry {
            command.arg("--dry-run");
        }
        let ran = run(without_settings(&mut command).current_dir("/"));
        if is_dry {
            assert!(!data.join("landfall").exists(), "a dry run writes nothing");
        }
        answer(ran)
    })
}

/// What was promised is what happened.
fn agree([dry, real]: &[Value; 2]) {
    let number = |report: &Value, key: &str| report[key].as_u64().unwrap();
    for key in [
        "repositories",
        "tags",
        "manifests",
        "blobs",
        "bytes",
        "linked",
        "bytes_copied",
        "damage_count",
    ] {
        assert_eq!(number(dry, key), number(real, key), "{key}:\n{dry:#}\n{real:#}");
    }
    let brought = number(real, "cloned") + number(real, "copied");
    assert_eq!(number(dry, "copied"), brought, "{dry:#}\n{real:#}");
    assert!(
        number(dry, "bytes_needed") >= number(real, "bytes_copied"),
        "{dry:#}"
    );
    assert!(number(dry, "bytes_free") > 0, "{dry:#}");
}

#[test]
fn files_of_ones_own_are_linked_as_the_dry_run_says() {
    let machine = Containers::default();
    let tree = plant(machine.folder("root"));
    let reports = twice(None, &tree.0, &machine.folder("data"), &landfall::program());
    agree(&reports);
    // Two images of two layers that are large enough for a file of their own.
    assert_eq!(reports[0]["linked"], 4, "{:#}", reports[0]);
}

/// Another user's files: where the kernel protects hard links, they are copied, and the dry run knows it.
#[test]
fn files_of_somebody_elses_are_copied_as_the_dry_run_says() {
    let machine = Containers::default();
    let tree = plant(machine.folder("root"));
    let (data, program) = (machine.folder("data"), machine.folder("landfall"));
    fs::copy(landfall::program(), &program).unwrap();
    fs::set_permissions(machine.folder("."), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&data).unwrap();
    chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    let prints = fingerprint(&tree.0);
    let reports = twice(Some(NOBODY), &tree.0, &data, &program);
    agree(&reports);
    let is_protected =
        fs::read_to_string("/proc/sys/fs/protected_hardlinks").is_ok_and(|on| on.trim() == "1");
    let linked = if is_protected { 0 } else { 4 };
    assert_eq!(reports[0]["linked"], linked, "{:#}", reports[0]);
    assert_eq!(fingerprint(&tree.0), prints, "the old tree is as it was");
}

/// As in a container, where two folders of one disk are two mounts: a hard link does not cross them.
#[test]
fn another_mount_of_the_same_disk_is_another_disk_to_a_link() {
    let machine = Containers::default();
    let tree = plant(machine.folder("root"));
    let mounted = machine.folder("mounted");
    fs::create_dir(&mounted).unwrap();
    run(program("mount").arg("--bind").arg(&tree.0).arg(&mounted)).succeeded();
    let reports = twice(None, &mounted, &machine.folder("data"), &landfall::program());
    agree(&reports);
    assert_eq!(reports[0]["linked"], 0, "{:#}", reports[0]);
}

/// Debian's registry answers 500 for a tag whose link is empty, and for one that leads to no manifest 404.
#[test]
fn a_running_registry_that_fails_at_one_tag_gives_everything_else() {
    let machine = Containers::default();
    let tree = plant(machine.folder("root"));
    let whole = image(3);
    tree.put("team/app", "hollow", &image(4));
    tree.put("zoo", "1", &whole);
    Tree::write(&tree.tag_link("team/app", "hollow"), b"");
    let lost = e2e::client::digest(&image(2).blobs[0]);
    fs::remove_file(tree.data(&lost)).unwrap();
    let old = OldRegistry::serve(&tree.0);
    let (address, data) = (format!("http://{}", old.address()), machine.folder("data"));
    let to = data.display().to_string();
    let dry = answer(landfall_says(&[
        "adopt",
        &address,
        "--data",
        &to,
        "--dry-run",
        "--json",
    ]));
    assert!(!data.exists(), "a dry run makes nothing");
    let real = answer(landfall_says(&["adopt", &address, "--data", &to, "--json"]));
    assert_eq!(dry["damages"], real["damages"]);
    let damages = real["damages"].as_array().unwrap();
    let told = |path: &str, found: &str| {
        damages
            .iter()
            .any(|damage| damage["path"] == path && damage["found"] == found)
    };
    assert!(told("team/app:hollow", "unreadable"), "{damages:#?}");
    assert!(
        damages
            .iter()
            .any(|damage| damage["found"] == "missing_reference"),
        "{damages:#?}"
    );
    assert_eq!(damages.len(), 2, "{damages:#?}");
    for key in ["repositories", "tags", "manifests", "blobs", "bytes"] {
        assert_eq!(dry[key], real[key], "{key}:\n{dry:#}\n{real:#}");
    }
    landfall_says(&["adopt", &address, "--data", &to, "--dry-run"])
        .succeeded()
        .says("would fetch and hash")
        .says("are free");
    landfall_says(&["adopt", &address, "--data", &to, "--verify", "size"])
        .failed()
        .says("always hashed");
    drop(old);
    let landfall = serve(&data);
    let mut client = Client::connect(landfall.address()).unwrap();
    assert_eq!(
        client.pull_manifest("zoo", "1").unwrap().unwrap().body,
        whole.manifest
    );
    assert_eq!(client.list("/v2/team/app/tags/list", "tags").unwrap(), ["1", "2"]);
}

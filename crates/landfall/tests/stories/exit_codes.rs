//! A script reads exit codes: each command of a running server ends with the one that the page of commands names, whatever went wrong.
//!
//! Source: docs/commands.md, "Exit codes".

use crate::harness::passwords::bcrypt_line;
use crate::harness::{Image, Landfall};

/// Nothing has that name; `DIGEST` is one of no content, `HOME` a folder of the test's.
const NOT_THERE: &str = "
tag list none
tag history none:x
tag history team/app:none
tag rollback team/app:none --yes
tag set team/app:new none --yes
tag set none:x latest --yes
tag delete team/app:none
tag delete team/app:none --yes
repo show none
repo set none --undo-window 1d
repo rename none new --yes
repo delete none --yes
repo restore none
trash list none
trash restore none
trash restore team/app:none
trash restore 99999
trash empty --repo none --yes
gc run --urgent none --yes
why kept DIGEST
du none
retention show none
retention rm none
retention dry-run none
retention run none --yes
quota rm none
immutable rm none
backup --to HOME/no/such/folder
backup list HOME/none
backup verify HOME/none
restore HOME/none --repo team/app
restore HOME/none --data HOME/new
import HOME/none
export HOME/new.tar --layout bundle none
export HOME/new.tar --layout bundle --since 99999
scrub run --repair-from HOME/none
";

/// Things are not as they would have to be.
const NOT_AS_IT_IS: &str = "
tag set team/app:v1 latest --yes
tag delete team/app:v1 --yes
repo rename team/app other --yes
repo rename team/app new --dry-run
repo delete team/app --yes
trash restore team/app:taken
retention rm of-file
retention set ** --name of-file --keep-last 3
immutable rm team/**
backup --to DATA/inside
backup --to HOME/file
restore HOME/file --repo team/app
restore HOME/backups --data DATA
export HOME/file --layout bundle
";

/// While the registry takes no writes.
const READ_ONLY: &str = "
tag set other:y x --yes
tag delete other:x --yes
tag rollback team/app:latest --yes
repo set other --undo-window 1d
repo rename other new --yes
repo delete other --yes
trash restore team/app:gone
trash empty --yes
gc run --urgent team/app --yes
retention run --yes
restore HOME/backups --repo team/app --as new
import HOME/bundle.tar
";

/// What cannot be meant.
const NONSENSE: &str = "
tag list A
tag history team/app
tag rollback team/app --yes
tag set team/app:x sha256:1 --yes
tag delete team/app --yes
repo show A
repo set team/app --undo-window soon
repo rename team/app A --yes
trash restore A
trash empty --older-than soon --yes
gc run --urgent A --yes
why kept xyz
du team/app --top 0
retention set **
retention set ** --name x --keep-last many
retention run A --yes
quota set team/ --bytes much
quota set team/
immutable set
backup --keep 0
backup
scrub run --sample 200%
check --deep --rate 0
mode sometimes
mode --reason why
export HOME/new.tar --layout bundle --since -1
tag list -x
tag list -1
tag set team/app:x -x
tag list team/app --limit -5
du --top -1
trash empty --older-than -1
trash restore -1
quota set team/ --tags -1
retention set ** --keep-last -1
backup --keep -1
scrub run --sample -5%
why kept -abc
gc status --json --json=1
";

/// What cannot be taken back is done after a question, which nobody can answer here.
const QUESTIONS: &str = "
tag rollback team/app:latest
tag set team/app:new latest
tag delete team/app:latest
repo rename other new
repo delete other
trash empty
gc run --urgent team/app
retention run
";

/// What only a server can answer, here or elsewhere.
const ASKED: &str = "
tag list team/app
tag history team/app:latest
tag rollback team/app:latest --yes
tag set team/app:x latest --yes
tag delete team/app:latest --yes
repo list
repo show team/app
repo set team/app --undo-window 1d
repo rename team/app new --yes
repo delete team/app --yes
repo restore team/app
trash list
trash restore team/app
trash empty --yes
gc status
gc run
gc pause
gc resume
why kept abcdef
du
retention list
retention set ** --keep-last 1
retention dry-run
retention run --yes
quota list
quota set team/ --tags 1
quota rm team/
immutable list
mode
mode read-only
backup status
";

/// What works on a folder at rest as well.
const EITHER: &str = "
check
scrub status
scrub run
scrub pause
backup
restore HOME/backups --repo team/app
";

struct Scene {
    landfall: Landfall,
    home: String,
    data: String,
}

impl Scene {
    fn new() -> Self {
        let builder = Landfall::builder();
        let users = format!(
            "{}\n{}\n",
            bcrypt_line("admin", "root"),
            bcrypt_line("busy", "bee")
        );
        let path = builder.file("htpasswd", users);
        let config = builder.file(
            "landfall.yaml",
            "retention: {rules: [{name: of-file, match: 'team/**', keep_last: 1}]}\n\
             immutable_tags: [{match: 'team/**', tags: ['v*']}]\n",
        );
        builder.file("file", "nothing of ours");
        builder.file("password", "bee\n");
        let landfall = builder
            .htpasswd(&path)
            .env("LANDFALL_CONFIG", config.as_os_str())
            .start();
        let home = landfall.how().home().to_str().unwrap().to_owned();
        let data = landfall.how().data_dir().to_str().unwrap().to_owned();
        let scene = Self { landfall, home, data };
        let admin = scene.landfall.as_user("admin", "root");
        for (repo, tag, what) in [
            ("team/app", "latest", "old"),
            ("team/app", "v1", "old"),
            ("team/app", "gone", "gone"),
            ("team/app", "taken", "taken"),
            ("other", "x", "other"),
        ] {
            admin.push(repo, tag, &Image::new(what));
        }
        for tag in ["gone", "taken"] {
            scene
                .landfall
                .done(&["tag", "delete", &format!("team/app:{tag}"), "--yes"]);
        }
        admin.push("team/app", "latest", &Image::new("new"));
        admin.push("team/app", "taken", &Image::new("another"));
        scene
            .landfall
            .done(&["backup", "--to", &format!("{}/backups", scene.home)]);
        let bundle = format!("{}/bundle.tar", scene.home);
        scene
            .landfall
            .done(&["export", &bundle, "--layout", "bundle", "other"]);
        scene
    }

    /// Runs each line, with more arguments, and says which of them did not end as they should.
    fn each(&self, lines: &str, more: &[&str], code: i32) {
        let mut wrong = Vec::new();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let line = line
                .replace("HOME", &self.home)
                .replace("DATA", &self.data)
                .replace("DIGEST", &format!("sha256:{}", "0".repeat(64)));
            let mut args: Vec<&str> = line.split(' ').collect();
            if !line.contains("--data")
                && !line.starts_with("backup list")
                && !line.starts_with("backup verify")
            {
                args.extend(more);
            }
            let how = self.landfall.how().clone();
            let output = how
                .env("LANDFALL_PASSWORD_FILE", format!("{}/password", self.home))
                .run(&args);
            if output.code != Some(code) || output.stderr.is_empty() {
                wrong.push(format!("{args:?}: {:?}: {}", output.code, output.stderr));
            }
        }
        assert!(
            wrong.is_empty(),
            "these should have ended with {code}:\n{}",
            wrong.join("\n")
        );
    }
}

#[test]
fn what_is_not_there_is_five_and_what_stands_in_the_way_is_six() {
    let scene = Scene::new();
    let here = ["--data", &scene.data];
    scene.each(NOT_THERE, &here, 5);
    scene.each(NOT_AS_IT_IS, &here, 6);
    scene.landfall.done(&["quota", "set", "other", "--tags", "1"]);
    scene.each("tag set other:y x --yes", &here, 9);
    scene.landfall.done(&["quota", "rm", "other"]);
    scene.each("import HOME/file", &here, 7);
    scene.landfall.done(&["mode", "read-only"]);
    scene.each(READ_ONLY, &here, 6);
    // Nothing of all that did anything.
    let tags = scene.landfall.done_json(&["tag", "list", "team/app"]);
    assert_eq!(tags["items"].as_array().unwrap().len(), 3, "{tags}");
}

#[test]
fn nonsense_is_two_and_so_is_a_question_without_a_terminal() {
    let scene = Scene::new();
    let here = ["--data", &scene.data];
    scene.each(NONSENSE, &here, 2);
    scene.each(QUESTIONS, &here, 2);
    let tags = scene.landfall.done_json(&["tag", "list", "team/app"]);
    assert_eq!(tags["items"].as_array().unwrap().len(), 3, "{tags}");
}

#[test]
fn who_may_not_is_four_and_who_does_not_answer_is_eight() {
    let scene = Scene::new();
    let url = format!("http://{}", scene.landfall.address);
    let refused = ["--server", &url, "--user", "busy"];
    scene.each(ASKED, &refused, 4);
    scene.each(EITHER, &refused, 4);
    let nowhere = ["--server", "http://127.0.0.1:1", "--user", "busy"];
    scene.each(ASKED, &nowhere, 8);
    scene.each(EITHER, &nowhere, 8);
    let empty = format!("{}/empty", scene.home);
    scene.each(ASKED, &["--data", &empty], 8);
}

//! Every command: help that fits a screen and shows two examples, JSON for programs, an exit code for scripts; and the page
//! of all commands says what the program says.
//!
//! Source: docs/commands.md.

use std::fs;
use std::path::Path;

use crate::harness::server::CommandOutput;
use crate::harness::{Image, Landfall};

const COMMANDS: [&str; 66] = [
    "serve",
    "config check",
    "config explain",
    "config print",
    "config init",
    "user add",
    "user passwd",
    "user list",
    "user rm",
    "tls status",
    "tls renew",
    "tls trust",
    "adopt",
    "export",
    "import",
    "backup",
    "backup list",
    "backup verify",
    "backup status",
    "restore",
    "repo list",
    "repo show",
    "repo set",
    "repo rename",
    "repo delete",
    "repo restore",
    "tag list",
    "tag history",
    "tag rollback",
    "tag set",
    "tag delete",
    "trash list",
    "trash restore",
    "trash empty",
    "du",
    "why kept",
    "gc status",
    "gc run",
    "gc pause",
    "gc resume",
    "check",
    "scrub status",
    "scrub run",
    "scrub pause",
    "scrub resume",
    "retention list",
    "retention show",
    "retention set",
    "retention rm",
    "retention dry-run",
    "retention run",
    "retention history",
    "quota list",
    "quota set",
    "quota rm",
    "immutable list",
    "immutable set",
    "immutable rm",
    "mode",
    "garbage-collect",
    "doctor",
    "healthcheck",
    "completions",
    "man",
    "version",
    "",
];

fn run(args: &[&str]) -> CommandOutput {
    Landfall::builder().run(args)
}

/// What other commands stand under.
const GROUPS: [&str; 12] = [
    "config",
    "user",
    "tls",
    "repo",
    "tag",
    "trash",
    "why",
    "gc",
    "scrub",
    "retention",
    "quota",
    "immutable",
];

#[test]
fn help_fits_a_screen_and_shows_two_examples() {
    for command in COMMANDS.into_iter().chain(GROUPS) {
        let mut args: Vec<&str> = command.split_whitespace().collect();
        args.push("-h");
        let help = run(&args);
        assert_eq!(help.code, Some(0), "{help:?}");
        let lines = help.stdout.lines().count();
        assert!(lines <= 40, "{command}: {lines} lines:\n{}", help.stdout);
        let examples = help
            .stdout
            .split("Examples:\n")
            .nth(1)
            .unwrap_or_else(|| panic!("{command}: no examples"));
        let count = examples.lines().filter(|line| line.contains("landfall")).count();
        assert!(count >= 2, "{command}:\n{examples}");
    }
}

#[test]
fn the_page_of_commands_names_every_command_and_flag_in_both_languages() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for page in ["commands.md", "zh-CN/commands.md"] {
        let text = fs::read_to_string(docs.join(page)).unwrap();
        for command in COMMANDS {
            assert!(
                text.contains(&format!("`landfall {command}").trim_end().to_owned()),
                "{page}: {command}"
            );
            let mut args: Vec<&str> = command.split_whitespace().collect();
            args.push("-h");
            let help = run(&args).stdout;
            let options = help.split("Examples:").next().unwrap();
            for flag in options.split_whitespace().filter(|word| word.starts_with("--")) {
                let flag = flag.trim_end_matches([',', '.']);
                assert!(text.contains(&format!("`{flag}")), "{page}: {command} {flag}");
            }
        }
        for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "130"] {
            assert!(text.contains(&format!("| {code} |")), "{page}: exit code {code}");
        }
    }
}

#[test]
fn health_is_an_exit_code() {
    let landfall = Landfall::start();
    let url = format!("http://{}", landfall.address);
    let healthy = landfall.how().run(&["healthcheck", "--url", &url]);
    assert_eq!(
        (healthy.code, &*healthy.stdout),
        (Some(0), "ready\n"),
        "{healthy:?}"
    );
    let configured = landfall
        .how()
        .clone()
        .env("LANDFALL_HTTP__ADDR", landfall.address.to_string());
    assert_eq!(configured.run(&["healthcheck", "--json"]).code, Some(0));
    let stopped = landfall.stop();
    let gone = stopped.run(&["healthcheck", "--url", &url, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&gone.stdout).unwrap();
    assert_eq!(
        (gone.code, &json["ready"]),
        (Some(1), &serde_json::Value::Bool(false))
    );
    assert!(
        gone.stderr.contains("LF-SRV-003") && gone.stderr.contains("nothing listens there"),
        "{gone:?}"
    );
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let builder = Landfall::builder();
    let users = builder.file("htpasswd", "ann:$apr1$x$y\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let builder = builder
        .htpasswd(&users)
        .env("LANDFALL_HTTP__ADDR", taken.local_addr().unwrap().to_string());
    let sick = builder.run(&["doctor"]);
    assert_eq!(sick.code, Some(7), "{sick:?}");
    for words in [
        "✗ logins",
        "LF-AUTH-008",
        "landfall user passwd",
        "✗ address",
        "another program",
        "--listen",
        "✓ clock",
    ] {
        assert!(sick.stdout.contains(words), "{words}:\n{}", sick.stdout);
    }
    let json: serde_json::Value = serde_json::from_str(&builder.run(&["doctor", "--json"]).stdout).unwrap();
    assert_eq!(json["ok"], false);
}

#[test]
fn every_json_document_says_first_what_it_is() {
    let landfall = Landfall::start();
    landfall.push("team/app", "latest", &Image::new("something"));
    landfall.done(&["retention", "set", "**", "--name", "r", "--keep-last", "1"]);
    let home = landfall.how().home().to_str().unwrap().to_owned();
    let backups = format!("{home}/backups");
    landfall.done(&["backup", "--to", &backups]);
    let here = "config check|config print|repo list|repo show team/app|tag list team/app|\
                tag history team/app:latest|trash list|du|du team/app|why kept DIGEST|gc status|gc run|check|scrub status|\
                retention list|retention show r|retention dry-run|retention run|retention history|quota list|immutable list|\
                mode|backup status|doctor";
    let digest = landfall
        .push("team/app", "latest", &Image::new("something"))
        .digest();
    for line in here.split('|') {
        let line = line.trim().replace("DIGEST", &digest);
        let args: Vec<&str> = line.split(' ').chain(["--json"]).collect();
        let said = landfall.does(&args);
        assert!(
            said.stdout.starts_with("{\n  \"schema\": \"landfall."),
            "{args:?}: {said:?}"
        );
    }
    let verified = landfall.how().run(&["backup", "verify", &backups, "--json"]);
    for said in [
        verified,
        landfall.how().run(&["backup", "list", &backups, "--json"]),
        run(&["config", "explain", "--json"]),
        run(&["version", "--json"]),
    ] {
        assert!(
            said.stdout.starts_with("{\n  \"schema\": \"landfall."),
            "{said:?}"
        );
    }
}

#[test]
fn the_doctor_says_who_refuses_writes_and_how_that_ends() {
    let read_only = |output: CommandOutput| -> Vec<String> {
        let lines = output
            .stdout
            .lines()
            .map(str::trim)
            .filter(|line| line.contains("read-") || line.contains("readonly."));
        lines.map(str::to_owned).collect()
    };
    let landfall = Landfall::start();
    assert_eq!(read_only(landfall.does(&["doctor"])), Vec::<String>::new());
    landfall.done(&["mode", "read-only", "--reason", "moving to new disks"]);
    let [found, fix] = &read_only(landfall.does(&["doctor"]))[..] else {
        panic!("{:?}", landfall.does(&["doctor"]))
    };
    assert!(
        found.contains("local:") && found.contains("moving to new disks"),
        "{found}"
    );
    assert!(fix.ends_with("landfall mode read-write"), "{fix}");
    let set = landfall
        .stop()
        .env("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true");
    let at_rest = set.run(&["doctor", "--data", set.data_dir().to_str().unwrap()]);
    let [found, fix] = &read_only(at_rest)[..] else {
        panic!("by the setting alone")
    };
    assert!(
        found.contains("by the setting storage.maintenance.readonly.enabled"),
        "{found}"
    );
    assert!(fix.contains("readonly.enabled: false"), "{fix}");
    let landfall = set.start();
    assert_eq!(read_only(landfall.does(&["doctor"])).len(), 4);
    assert_eq!(landfall.done(&["mode"]).lines().count(), 2);
}

#[test]
fn the_doctor_pushes_pulls_and_deletes() {
    let landfall = Landfall::start();
    let data = landfall.how().data_dir().to_str().unwrap().to_owned();
    let url = format!("http://{}", landfall.address);
    let args = [
        "doctor",
        "localhost",
        "--push-test",
        "--url",
        &url,
        "--data",
        &data,
    ];
    let well = landfall.how().run(&args);
    assert_eq!(well.code, Some(0), "{well:?}");
    for words in [
        "✓ push test",
        "held by the server",
        "✓ client's view",
        "localhost leads to this host",
    ] {
        assert!(well.stdout.contains(words), "{words}:\n{}", well.stdout);
    }
    let repository = well
        .stdout
        .split("deleted ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    assert_eq!(
        landfall
            .get(&format!("/v2/{repository}/manifests/test"))
            .send()
            .status,
        404
    );
}

#[test]
fn a_starter_file_can_be_used_and_is_never_written_over_another() {
    let builder = Landfall::builder();
    assert_eq!(builder.run(&["config", "init", "new.yaml"]).code, Some(0));
    assert_eq!(builder.run(&["config", "check", "new.yaml"]).code, Some(0));
    let text = fs::read_to_string(builder.home().join("new.yaml")).unwrap();
    // Every suggestion in it is one that works.
    let uncommented: String = text
        .lines()
        .map(|line| match line.split_once('#') {
            Some((before, rest)) if before.trim().is_empty() && !rest.starts_with(' ') => {
                format!("{before}{rest}\n")
            }
            Some((before, rest)) if before.is_empty() && rest.starts_with("  ") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(uncommented.contains("\nauth:\n"), "{uncommented}");
    builder.file("all.yaml", &uncommented);
    let checked = builder.run(&["config", "check", "all.yaml"]);
    assert_eq!(checked.code, Some(0), "{checked:?}\n{uncommented}");
    let again = builder.run(&["config", "init", "new.yaml"]);
    assert!(
        again.code == Some(6) && again.stderr.contains("exists already"),
        "{again:?}"
    );
}

#[test]
fn completions_and_manual_pages_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(
            script.code == Some(0) && script.stdout.contains("healthcheck"),
            "{shell}"
        );
    }
    assert_eq!(run(&["completions", "tcsh"]).code, Some(2));
    let builder = Landfall::builder();
    assert_eq!(builder.run(&["man", "pages"]).code, Some(0));
    let page = fs::read_to_string(builder.home().join("pages/landfall-user-add.1")).unwrap();
    assert!(page.contains("password\\-stdin"), "{page}");
    for (args, key) in [
        (&["completions", "bash", "--json"][..], "script"),
        (&["man", "pages", "--json"], "pages"),
    ] {
        let output = builder.run(args);
        let json: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(json["schema"], format!("landfall.{}/1", args[0]), "{output:?}");
        assert!(json[key].to_string().contains("landfall"), "{output:?}");
    }
    let version: serde_json::Value = serde_json::from_str(&run(&["version", "--json"]).stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

/// A night's script of the older registry goes on working, and its owner reads why it can go.
#[test]
fn a_script_that_collects_garbage_is_told_that_it_need_not() {
    let builder = Landfall::builder();
    builder.file("config.yml", "version: 0.1\ntrash: {undo_window: 14d}\n");
    let told = builder.run(&["garbage-collect", "--dry-run", "-m", "config.yml"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    for words in [
        "needs no garbage collection",
        "14d",
        "--delete-untagged had no effect",
    ] {
        assert!(told.stdout.contains(words), "{words}: {told:?}");
    }
    let quiet = builder.run(&["garbage-collect", "-d", "-q", "config.yml"]);
    assert_eq!((quiet.code, &*quiet.stdout), (Some(0), ""), "{quiet:?}");
    let json: serde_json::Value =
        serde_json::from_str(&builder.run(&["garbage-collect", "--json"]).stdout).unwrap();
    assert_eq!(json["needed"], false, "{json:#}");
    assert_eq!(builder.run(&["garbage-collect", "gone.yml"]).code, Some(3));
}

#[test]
fn the_doctor_looks_at_all_that_a_server_with_a_name_needs_before_its_first_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = taken.local_addr().unwrap().to_string();
    let builder = Landfall::builder()
        .env("LANDFALL_HTTP__ADDR", "127.0.0.1:0")
        .env("LANDFALL_HTTP__PLAIN_ADDR", &plain)
        .env("LANDFALL_TLS__NAMES", "[nas.invalid]");
    let data = builder.data_dir().to_str().unwrap().to_owned();
    let said = builder.run(&["doctor", "--data", &data]);
    assert_eq!(said.code, Some(7), "{said:?}");
    for words in [
        "none yet: serve makes the first user",
        "none yet: `landfall serve` makes a local CA and a certificate",
        "✗ plain HTTP",
        "or choose another address with http.plain_addr",
        "nas.invalid has no address that this machine can find",
    ] {
        assert!(said.stdout.contains(words), "{words}:\n{}", said.stdout);
    }
    assert!(said.stderr.contains("1 problem"), "{said:?}");
}

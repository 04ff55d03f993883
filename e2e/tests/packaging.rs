//! What is packaged beside the program: the Debian package as `dpkg` sees it, its units as systemd reads them, and the chart
//! as helm renders it.
//!
//! Fails: by panic. `LANDFALL_PACKAGE` and `LANDFALL_HELM` name the package and helm; `cargo xtask test` sets both.
//! Source: Debian Policy, chapters 5, 6, 9 and 10; systemd.unit(5); the chart format of helm, version 3.

#![expect(clippy::unwrap_used, reason = "helpers of a test fail it")]

use std::fs;
use std::path::{Path, PathBuf};

use e2e::command::{Ran, program, run};
use tempfile::TempDir;

/// Of 100; systemd's own judgement of what a unit may do. A new privilege shows here.
const EXPOSURE_MAX: &str = "25";

fn given(name: &str) -> PathBuf {
    let missing = || panic!("{name} must be set; `cargo xtask test release journeys` does it");
    let path = std::env::var_os(name).map_or_else(missing, PathBuf::from);
    assert!(
        path.is_file(),
        "{name} names {}, which is not there",
        path.display()
    );
    path
}

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name)
}

fn dpkg_deb(what: &str) -> Ran {
    run(program("dpkg-deb").arg(what).arg(given("LANDFALL_PACKAGE"))).succeeded()
}

/// The package as it would be installed.
fn unpacked() -> TempDir {
    let root = TempDir::with_prefix("package-").unwrap();
    run(program("dpkg-deb")
        .arg("--extract")
        .arg(given("LANDFALL_PACKAGE"))
        .arg(root.path()))
    .succeeded();
    root
}

#[test]
fn the_debian_package_holds_program_unit_settings_manual_and_completions() {
    let listing = dpkg_deb("--contents").stdout();
    let entries: Vec<Vec<&str>> = listing
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let mode = |path: &str| {
        let found = entries.iter().find(|entry| entry.last() == Some(&path));
        found.unwrap_or_else(|| panic!("{path} is missing:\n{listing}"))[0]
    };
    assert_eq!(mode("./usr/bin/landfall"), "-rwxr-xr-x");
    for path in [
        "./etc/landfall/landfall.yaml",
        "./usr/lib/systemd/system/landfall.service",
        "./usr/lib/systemd/system/landfall.socket",
        "./usr/lib/sysusers.d/landfall.conf",
        "./usr/share/bash-completion/completions/landfall",
        "./usr/share/zsh/vendor-completions/_landfall",
        "./usr/share/fish/vendor_completions.d/landfall.fish",
        "./usr/share/doc/landfall/copyright",
        "./usr/share/man/man1/landfall.1.gz",
        "./usr/share/man/man1/landfall-user-add.1.gz",
        "./usr/share/man/man1/landfall-adopt.1.gz",
    ] {
        assert_eq!(mode(path), "-rw-r--r--", "{path}");
    }
    for entry in &entries {
        assert_eq!(entry[1], "root/root", "{entry:?}");
        let path = entry[entry.len() - 1];
        let allowed = ["./", "./etc/", "./usr/"];
        let is_at_home = allowed.contains(&path)
            || ["./etc/landfall/", "./usr/bin/", "./usr/lib/", "./usr/share/"]
                .iter()
                .any(|home| path.starts_with(home));
        assert!(is_at_home, "{path} is no place of ours");
    }
}

#[test]
fn the_debian_package_says_what_it_is_and_keeps_what_an_owner_changed() {
    let field = |name: &str| {
        run(program("dpkg-deb")
            .arg("--field")
            .arg(given("LANDFALL_PACKAGE"))
            .arg(name))
        .succeeded()
        .stdout()
    };
    assert_eq!(field("Package"), "landfall");
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(
        field("Architecture"),
        run(program("dpkg").arg("--print-architecture"))
            .succeeded()
            .stdout()
    );
    assert!(field("Description").starts_with("private container-image registry"));
    let control = TempDir::with_prefix("control-").unwrap();
    run(program("dpkg-deb")
        .arg("--control")
        .arg(given("LANDFALL_PACKAGE"))
        .arg(control.path()))
    .succeeded();
    let read = |name: &str| fs::read_to_string(control.path().join(name)).unwrap();
    assert_eq!(read("conffiles"), "/etc/landfall/landfall.yaml\n");
    for script in ["postinst", "prerm", "postrm"] {
        run(program("sh").arg("-n").arg(control.path().join(script))).succeeded();
        assert!(!read(script).contains("rm -rf"), "{script} never removes images");
    }
    // A settings file that the program of the package itself understands.
    let root = unpacked();
    run(
        program(&root.path().join("usr/bin/landfall").display().to_string())
            .args(["config", "check"])
            .arg(root.path().join("etc/landfall/landfall.yaml"))
            .env_clear(),
    )
    .succeeded();
    let page = root.path().join("usr/share/man/man1/landfall-adopt.1.gz");
    run(program("gzip").args(["--decompress", "--stdout"]).arg(page))
        .succeeded()
        .says("dry\\-run");
}

#[test]
fn systemd_understands_the_units_and_finds_little_that_they_may_do() {
    let root = unpacked();
    let units = root.path().join("usr/lib/systemd/system");
    // A system around the package, as far as its units name it.
    let script = r#"cp /usr/lib/systemd/system/*.target /usr/lib/systemd/system/*.slice "$1"; mkdir -p "$2/bin"; cp /bin/kill "$2/bin""#;
    run(program("sh")
        .args(["-euc", script, "sh"])
        .arg(&units)
        .arg(root.path()))
    .succeeded();
    let at = |option: &str| format!("{option}={}", root.path().display());
    let verified = run(program("systemd-analyze").args([
        "verify",
        "--man=no",
        &at("--root"),
        "landfall.service",
        "landfall.socket",
    ]))
    .succeeded();
    assert_eq!(verified.words().trim(), "", "not even a warning");
    run(program("systemd-analyze").args([
        "security",
        "--offline=true",
        &at("--root"),
        &format!("--threshold={EXPOSURE_MAX}"),
        "landfall.service",
    ]))
    .succeeded();
    let unit = fs::read_to_string(units.join("landfall.service")).unwrap();
    for line in [
        "Type=notify",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "User=landfall",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}:\n{unit}");
    }
}

/// helm with a home of its own; it asks no cluster.
fn helm(arguments: &[&str]) -> Ran {
    let home = TempDir::with_prefix("helm-").unwrap();
    let mut command = program(&given("LANDFALL_HELM").display().to_string());
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(name, home.path());
    }
    let (name, rest) = arguments.split_first().unwrap();
    if *name == "template" {
        command.args(["template", "home"]);
    } else {
        command.arg(name);
    }
    // Else it supposes the cluster that its own libraries were made for.
    command
        .arg(packaging("helm/landfall"))
        .arg("--kube-version=1.30.0");
    run(command.args(rest))
}

#[test]
fn the_chart_renders_with_a_login_and_refuses_to_without_one() {
    helm(&["lint", "--strict", "--set", "htpasswd=busy:hash"]).succeeded();
    helm(&["template"]).failed().says("existingSecret");
    let plain = helm(&["template", "--set", "htpasswd=busy:$2y$10$x"]).succeeded();
    let plain = plain
        .says("kind: StatefulSet")
        .says("kind: Service")
        .says("kind: Secret")
        .says("htpasswd: \"busy:$2y$10$x\"")
        .says("runAsNonRoot: true")
        .says("readOnlyRootFilesystem: true")
        .says("path: /startupz")
        .does_not_say("kind: Ingress");
    assert!(plain.stdout().contains(&format!(
        "image: \"landfall/landfall:{}\"",
        env!("CARGO_PKG_VERSION")
    )));
    let all = [
        "template",
        "--set",
        "existingSecret=people,ingress.enabled=true,ingress.className=nginx,ingress.tlsSecret=certificate",
        "--set",
        "env.REGISTRY_LOG_LEVEL=debug,persistence.storageClass=fast,nodeSelector.disk=ssd,realm=Our images",
        "--set",
        "imagePullSecrets[0].name=pull,tolerations[0].key=x,affinity.nodeAffinity.x=y",
    ];
    helm(&all)
        .succeeded()
        .does_not_say("kind: Secret")
        .says("secretName: people")
        .says("kind: Ingress")
        .says("secretName: certificate")
        .says("name: REGISTRY_LOG_LEVEL")
        .says("storageClassName: fast")
        .says("disk: ssd")
        .says("Our images")
        .says("proxy-body-size: \"0\"");
}

/// Every value that the chart offers is used by a template, and every value that a template uses is offered.
#[test]
fn the_chart_uses_every_value_that_it_offers_and_no_other() {
    let folder = packaging("helm/landfall");
    let values = fs::read_to_string(folder.join("values.yaml")).unwrap();
    let mut offered: Vec<String> = Vec::new();
    let mut section = String::new();
    for line in values.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let Some((key, rest)) = line.split_once(':') else {
            continue;
        };
        match (key.strip_prefix("  "), rest.trim()) {
            (None, "") => key.clone_into(&mut section),
            (None, _) => offered.push(key.to_owned()),
            (Some(below), _) if !below.starts_with(' ') => offered.push(format!("{section}.{below}")),
            (Some(_), _) => {} // the inside of a value
        }
    }
    let mut templates = String::new();
    for entry in fs::read_dir(folder.join("templates")).unwrap() {
        templates += &fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let used: Vec<&str> = templates
        .split(".Values.")
        .skip(1)
        .map(|rest| rest.split(|c| !is_part(c)).next().unwrap())
        .collect();
    let covers = |whole: &str, part: &str| whole == part || part.starts_with(&format!("{whole}."));
    for value in &offered {
        assert!(used.iter().any(|used| covers(used, value)), "nobody uses {value}");
    }
    for used in &used {
        assert!(
            offered
                .iter()
                .any(|value| covers(used, value) || covers(value, used)),
            "{used} is not in values.yaml"
        );
    }
}

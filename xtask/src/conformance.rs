//! The OCI conformance program, run twice: against the default configuration, and with validation off.
//!
//! Every toggle is on in both runs, but sparse manifests in the first: by default an image whose parts are missing is
//! refused. Demanded is zero failed and zero skipped.
//! Source: opencontainers/distribution-spec, `conformance/README.md`; its `junit.xml` and `results.yaml`.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::landfall::Launch;

use crate::House;
use crate::outcome::{Failure, Outcome, Tally};

const TOGGLES: &[&str] = &[
    "API_PING",
    "API_PULL",
    "API_PUSH",
    "API_BLOBS_ATOMIC",
    "API_BLOBS_DELETE",
    "API_BLOBS_DIGEST_HEADER",
    "API_BLOBS_MOUNT_ANONYMOUS",
    "API_BLOBS_UPLOAD_CANCEL",
    "API_MANIFESTS_ATOMIC",
    "API_MANIFESTS_DELETE",
    "API_MANIFESTS_DIGEST_HEADER",
    "API_MANIFESTS_TAG_PARAM",
    "API_TAGS_ATOMIC",
    "API_TAGS_DELETE",
    "API_TAGS_LIST",
    "API_REFERRER",
    "DATA_IMAGE",
    "DATA_INDEX",
    "DATA_INDEX_LIST",
    "DATA_ARTIFACT",
    "DATA_SUBJECT",
    "DATA_SUBJECT_MISSING",
    "DATA_ARTIFACT_LIST",
    "DATA_SUBJECT_LIST",
    "DATA_DATA_FIELD",
    "DATA_NONDISTRIBUTABLE",
    "DATA_CUSTOM_FIELDS",
    "DATA_NO_LAYERS",
    "DATA_EMPTY_BLOB",
    "DATA_SHA512",
];
const SPARSE: &str = "DATA_SPARSE";
/// What `results.yaml` says of that toggle when it is off.
const SPARSE_DISABLED: &str = "Sparse Manifests: Disabled";

pub(crate) fn run(house: &House) -> Outcome {
    let mut tally = one_run(house, "default configuration", false)?;
    tally += one_run(house, "validation off", true)?;
    Ok(tally)
}

fn one_run(house: &House, name: &str, validation_off: bool) -> Outcome {
    let cannot = |error: std::io::Error| Failure::new(format!("conformance, {name}: {error}"));
    let folder = tempfile::tempdir().map_err(cannot)?;
    let results = house.root.join("target/conformance").join(name.replace(' ', "-"));
    fs::remove_dir_all(&results).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(cannot(error)),
    })?;
    fs::create_dir_all(&results).map_err(cannot)?;

    let mut launch = Launch::with_data(house.landfall().as_path(), folder.path());
    if validation_off {
        launch = launch.env("REGISTRY_VALIDATION_DISABLED", "true");
    }
    let landfall = launch.start();
    let mut command = Command::new(house.tools().join("conformance"));
    command
        .current_dir(&results)
        .env("OCI_REGISTRY", landfall.address().to_string())
        .env("OCI_TLS", "disabled")
        .env("OCI_VERSION", "dev")
        .env("OCI_RESULTS_DIR", &results)
        .env(format!("OCI_{SPARSE}"), validation_off.to_string());
    for toggle in TOGGLES {
        command.env(format!("OCI_{toggle}"), "true");
    }
    let output = command.output().map_err(cannot)?;
    let verdict = Verdict::read(&results).map_err(cannot)?;
    println!(
        "{name}: {} checks, {} failed, {} skipped",
        verdict.checks, verdict.failed, verdict.skipped
    );
    let allowed: &[&str] = if validation_off { &[] } else { &[SPARSE_DISABLED] };
    let not_passed: Vec<_> = verdict
        .not_passed
        .iter()
        .filter(|line| !allowed.contains(&line.as_str()))
        .collect();
    let well =
        output.status.success() && verdict.failed == 0 && verdict.skipped == 0 && not_passed.is_empty();
    if well && verdict.checks > 0 {
        return Ok(Tally {
            passed: verdict.checks,
            failed: 0,
        });
    }
    print!("{}", failures(&String::from_utf8_lossy(&output.stdout)));
    let (failed, passed) = (
        verdict.failed.max(1),
        verdict.checks.saturating_sub(verdict.failed + verdict.skipped),
    );
    let sentence = format!(
        "{name}: not all passed ({not_passed:?}); every exchange is in {}/report.html",
        results.display()
    );
    Err(Failure {
        tally: Tally { passed, failed },
        sentence,
    })
}

/// What the program wrote down.
struct Verdict {
    checks: u64,
    failed: u64,
    skipped: u64,
    /// `Tag delete: Skip` and the like: everything in `results.yaml` that is not `Pass`.
    not_passed: Vec<String>,
}

impl Verdict {
    fn read(results: &Path) -> std::io::Result<Self> {
        let junit = fs::read_to_string(results.join("junit.xml"))?;
        let suite = junit
            .lines()
            .find(|line| line.trim_start().starts_with("<testsuite "))
            .unwrap_or_default();
        let count = |name: &str| {
            let value = suite
                .split_once(&format!(" {name}=\""))
                .and_then(|(_, rest)| rest.split('"').next());
            value.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
        };
        let yaml = fs::read_to_string(results.join("results.yaml"))?;
        let verdicts = yaml
            .lines()
            .skip_while(|line| *line != "apis:")
            .filter(|line| line.starts_with("  "));
        Ok(Self {
            checks: count("tests"),
            failed: count("failures") + count("errors"),
            skipped: count("skipped"),
            not_passed: verdicts
                .map(str::trim)
                .filter(|line| !line.ends_with(": Pass"))
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// The lines of the program's own report that name what went wrong, without those that went well.
fn failures(report: &str) -> String {
    let kept = report
        .lines()
        .filter(|line| !line.ends_with(": Pass") && !line.trim().is_empty());
    kept.fold(String::new(), |text, line| text + line + "\n")
}

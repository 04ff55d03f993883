//! The tests themselves, each suite with what it needs around it.

use crate::House;
use crate::checks::cargo;
use crate::image;
use crate::outcome::{Failure, Outcome, cargo_test, check};
use crate::package;
use crate::postgres::Postgres;
use crate::programs;

/// Everything but the journeys. The catalog's tests need `LANDFALL_TEST_POSTGRES` and fail without it.
pub(crate) fn unit(house: &House) -> Outcome {
    let postgres = Postgres::start()?;
    println!("PostgreSQL at {}", postgres.url());
    let test = ["test", "--locked", "--workspace", "--exclude", "e2e"];
    let mut tally = cargo_test(
        cargo(house)
            .args(test)
            .env("LANDFALL_TEST_POSTGRES", postgres.url()),
    )?;
    tally += cargo_test(cargo(house).args(["test", "--locked", "--package", "e2e", "--lib"]))?;
    Ok(tally)
}

pub(crate) fn journeys(house: &House) -> Outcome {
    e2e(
        house,
        &[
            "acme",
            "https",
            "trust",
            "docker",
            "undo",
            "containerd",
            "podman",
            "skopeo",
            "buildah",
            "disk_full",
            "compose",
            "nginx",
            "documents",
            "readme",
            "admin_pages",
            "adopt",
            "backup",
            "packaging",
        ],
    )
}

/// Garbage goes under load, on a disk that is full, and by a clock that jumps.
pub(crate) fn collection(house: &House) -> Outcome {
    e2e(house, &["collection"])
}

pub(crate) fn kill(house: &House) -> Outcome {
    e2e(house, &["kill"])
}

pub(crate) fn power_cut(house: &House) -> Outcome {
    e2e(house, &["power_cut"])
}

fn e2e(house: &House, names: &[&str]) -> Outcome {
    if !house.landfall().is_file() {
        let sentence = format!(
            "{} is missing: run the step `release` first",
            house.landfall().display()
        );
        return Err(Failure::new(sentence));
    }
    // Linked to the system's libraries, for clocks that are not the machine's; the stories have built it before.
    check(cargo(house).args(["build", "--locked", "--package", "landfall", "--package", "hasty"]))?;
    let mut command = cargo(house);
    command
        .args(["test", "--locked", "--package", "e2e"])
        .env("LANDFALL_LINKED", house.root.join("target/debug/landfall"))
        .env("HASTY_BIN", house.root.join("target/debug/hasty"))
        .env("LANDFALL_BIN", house.landfall())
        .env("LANDFALL_IMAGE_ARCHIVE", image::path(house))
        .env("LANDFALL_PACKAGE", package::path(house))
        .env("LANDFALL_HELM", programs::helm(house));
    for name in names {
        command.args(["--test", name]);
    }
    cargo_test(command.args(["--", "--nocapture"]))
}

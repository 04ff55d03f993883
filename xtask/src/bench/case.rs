//! The cases, in the order in which they run and are printed.

use super::figures::Unit;
use super::product::{Mode, Product};
use super::task::{
    BinarySize, Idle, Images, List, Mixed, Mounts, Pages, Pull, Push, Reads, Start, Tags, Task, Way, What,
};

/// One line of work, done to every server that can do it.
pub(crate) struct Case {
    /// As `--only` names it.
    pub(crate) name: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) unit: Unit,
    pub(crate) mode: Mode,
    /// Each server begins with nothing, and its folder goes away afterwards.
    pub(crate) is_fresh: bool,
    /// Who shows what the machine allows.
    pub(crate) limit: Option<Product>,
    pub(crate) task: Box<dyn Task>,
}

impl Case {
    fn new(name: &'static str, heading: &'static str, unit: Unit, task: impl Task + 'static) -> Self {
        Self {
            name,
            heading,
            unit,
            mode: Mode::Plain,
            is_fresh: false,
            limit: None,
            task: Box::new(task),
        }
    }

    fn limited_by(self, limit: Product) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    fn over(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    fn fresh(self) -> Self {
        Self {
            is_fresh: true,
            ..self
        }
    }
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = large();
    cases.extend(mixed());
    cases.extend(small());
    cases.extend(lists());
    cases.extend(itself());
    cases
}

fn large() -> Vec<Case> {
    let push = |name, heading, way, at_once| {
        Case::new(name, heading, Unit::Throughput, Push { way, at_once })
            .limited_by(Product::Bare)
            .fresh()
    };
    let pull =
        |name, heading, pull| Case::new(name, heading, Unit::Throughput, pull).limited_by(Product::Nginx);
    let cold = Pull {
        is_cold: true,
        ..Pull::whole(1)
    };
    let ranges = |bytes, amount| Pull {
        ranges: Some((bytes, amount)),
        ..Pull::whole(1)
    };
    vec![
        push("push-put", "push of 1 GiB by one PUT", Way::Put, 1),
        push("push-patch", "push of 1 GiB by one chunked PATCH", Way::Patch, 1),
        push("push-four", "push of four times 256 MiB at once", Way::Put, 4),
        pull("pull", "pull of 1 GiB, warm", Pull::whole(1)),
        pull("pull-four", "pull of 1 GiB, warm, four at once", Pull::whole(4)),
        pull("pull-tls", "pull of 1 GiB over TLS, warm", Pull::whole(1)).over(Mode::Tls),
        pull(
            "pull-tls-four",
            "pull of 1 GiB over TLS, warm, four at once",
            Pull::whole(4),
        )
        .over(Mode::Tls),
        pull("pull-cold", "pull of 1 GiB from the disk", cold),
        pull("ranges-large", "64 ranges of 16 MiB", ranges(16 << 20, 64)),
        pull("ranges-small", "256 ranges of 64 KiB", ranges(64 << 10, 256)),
    ]
}

/// Reading and writing at once.
fn mixed() -> Vec<Case> {
    let mixed = |name, heading, side| {
        Case::new(name, heading, Unit::Throughput, side)
            .limited_by(Product::Bare)
            .fresh()
    };
    vec![
        mixed("mixed-push", "push of 1 GiB while two pull", Mixed::Push),
        mixed("mixed-pull", "two pull while 1 GiB is pushed", Mixed::Pull),
    ]
}

fn small() -> Vec<Case> {
    let read = |name, heading, method, what| {
        let task = Reads {
            what,
            method,
            connections: 4,
        };
        Case::new(name, heading, Unit::Rate, task).limited_by(Product::Bare)
    };
    let (blob, tag, digest) = (What::Blob, What::ManifestByTag, What::ManifestByDigest);
    let images = |name, heading, connections| Case::new(name, heading, Unit::Rate, Images { connections });
    let tags = |name, heading, unit, connections| Case::new(name, heading, unit, Tags { connections });
    vec![
        read("blob-get", "GET of a blob of 10 KiB", "GET", blob),
        read("manifest-get-tag", "GET of a manifest by tag", "GET", tag),
        read(
            "manifest-get-digest",
            "GET of a manifest by digest",
            "GET",
            digest,
        ),
        read("manifest-head-tag", "HEAD of a manifest by tag", "HEAD", tag),
        read(
            "manifest-head-digest",
            "HEAD of a manifest by digest",
            "HEAD",
            digest,
        ),
        read(
            "password-blob-get",
            "GET of a blob of 10 KiB, with password",
            "GET",
            blob,
        )
        .over(Mode::Password),
        read(
            "password-manifest-get-tag",
            "GET of a manifest by tag, with password",
            "GET",
            tag,
        )
        .over(Mode::Password),
        read(
            "password-manifest-head-tag",
            "HEAD of a manifest by tag, with password",
            "HEAD",
            tag,
        )
        .over(Mode::Password),
        images("image-4", "images of two small blobs, 4 connections", 4),
        images("image-16", "images of two small blobs, 16 connections", 16),
        tags("tag-put-4", "PUT of a new tag, 4 connections", Unit::Rate, 4),
        tags("tag-put-16", "PUT of a new tag, 16 connections", Unit::Rate, 16),
        tags("tag-put-alone", "PUT of a new tag, alone", Unit::Latency, 1),
        Case::new(
            "mount",
            "mounts into new repositories",
            Unit::Rate,
            Mounts { connections: 4 },
        ),
    ]
}

fn lists() -> Vec<Case> {
    let pages = |name, heading, pages| Case::new(name, heading, Unit::Rate, pages);
    vec![
        pages(
            "tags-2000",
            "pages of 100 of 2,000 tags",
            Pages::of(List::Tags, 2000),
        ),
        pages(
            "tags-million",
            "pages of 100 of 1,000,000 tags",
            Pages::of(List::ManyTags, 1_000_000),
        )
        .fresh(),
        pages(
            "catalog",
            "pages of 100 of 1,000 repositories",
            Pages::of(List::Repositories, 1000),
        )
        .fresh(),
        pages(
            "referrers",
            "first page of 10,000 referrers",
            Pages::of(List::Referrers, 10_000),
        )
        .fresh(),
    ]
}

fn itself() -> Vec<Case> {
    let memory = |name, heading, connections, is_pulling| {
        let task = Idle {
            connections,
            is_pulling,
        };
        Case::new(name, heading, Unit::Size, task).fresh()
    };
    let full = Start {
        is_full: true,
        ..Start::default()
    };
    vec![
        memory("memory-idle", "memory, idle", 0, false),
        memory(
            "memory-connections",
            "memory with 1,000 idle connections",
            1000,
            false,
        ),
        memory(
            "memory-pulls",
            "memory with 1,000 stalled pulls of 1 GiB",
            1000,
            true,
        ),
        Case::new(
            "start-empty",
            "start, nothing in the catalog",
            Unit::Latency,
            Start::default(),
        ),
        Case::new(
            "start-full",
            "start, `--manifests` in the catalog",
            Unit::Latency,
            full,
        ),
        Case::new("binary", "size of the static program", Unit::Size, BinarySize),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_is_for_landfall() {
        let cases = all();
        let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        assert!(cases.iter().all(|case| case.task.suits(Product::Landfall)));
        assert!(
            cases
                .iter()
                .filter_map(|case| Some((case, case.limit?)))
                .all(|(case, limit)| case.task.suits(limit) && limit.mode(case.mode).is_some())
        );
    }
}

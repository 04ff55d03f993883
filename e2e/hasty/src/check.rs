//! The rows of a stopped server against its files: every row has its bytes, every stored file its row, its tombstone, its
//! upload or its place aside.
//!
//! Shape: [`of`] gives a [`Report`], which prints as one line of counts and one for each problem that `Registry::check`
//! found. Fails: what cannot be opened; a server that runs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use registry::{Check, Problem};
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use crate::{Trouble, serve};

/// What was found.
#[derive(Default)]
pub(crate) struct Report {
    counts: BTreeMap<&'static str, u64>,
    faults: Vec<String>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(what, count)| format!("{what}={count}"))
            .collect();
        f.write_str(&counts.join(" "))?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

/// Tables whose rows are counted.
const COUNTED: [&str; 8] = [
    "blobs",
    "repo_blobs",
    "manifests",
    "manifest_bodies",
    "tags",
    "tombstones",
    "uploads",
    "orphans",
];

/// Checks everything, to the last byte.
pub(crate) async fn of(data: &Path) -> Result<Report, Trouble> {
    let (registry, _, folder) = serve::open(data).await?;
    let how = Check {
        deep: true,
        rate: None,
    };
    let mut problems: Vec<Problem> = Vec::new();
    let found = registry
        .check(how, &mut problems, &CancellationToken::new())
        .await?;
    registry.close().await;
    let mut report = Report {
        faults: problems.iter().map(ToString::to_string).collect(),
        ..Report::default()
    };
    let rows = Connection::open(folder.join("catalog/landfall.db"))?;
    for table in COUNTED {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let count: i64 = rows.query_row(&sql, [], |row| row.get(0))?;
        report.counts.insert(table, u64::try_from(count)?);
    }
    let files = [
        ("stored-files", found.files),
        ("unknown-files", found.unknown),
        ("unknown-parts", found.left_uploads),
        ("aside", found.aside),
    ];
    report.counts.extend(files);
    Ok(report)
}

//! `backup`: a plan that can be kept, or errors at the place where it is wrong.

use policy::Schedule;

use crate::finding::{Code, Finding, Report};
use crate::reader::Reader;
use crate::settings::Backup;
use crate::value::{Count, Limit};

/// Backups that are made by themselves need a place to go to.
pub(crate) fn backup(read: Reader<'_>, report: &mut Report) -> Backup {
    let schedule = read.optional::<String>("backup.schedule");
    let backup = Backup {
        to: read.optional("backup.to"),
        schedule: schedule.and_then(|text| Schedule::new(&text).ok()),
        keep: read.read::<Limit<Count>>("backup.keep").0.map(|count| count.0),
    };
    if backup.schedule.is_some() && backup.to.is_none() {
        let origin = read.origin("backup.schedule");
        report.push(
            Finding::error(Code::Incomplete, &origin, "`backup.schedule` needs `backup.to`")
                .label("when, but not where to")
                .advise("set `backup.to` to a folder on another disk"),
        );
    }
    if let Some(to) = backup.to.as_ref().filter(|to| !to.is_absolute()) {
        let origin = read.origin("backup.to");
        report.push(
            Finding::error(
                Code::BadValue,
                &origin,
                format!("`backup.to` cannot be `{}`", to.display()),
            )
            .label("expected a path from `/` on")
            .advise(
                "from where a server and a command are started differs, so each would mean another folder",
            ),
        );
    }
    if backup.keep == Some(0) {
        let origin = read.origin("backup.keep");
        report.push(
            Finding::error(Code::BadValue, &origin, "`backup.keep` is at least 1, or `none`")
                .label("not even the backup that was made would stay"),
        );
    }
    backup
}

//! Backups and bundles: begun here, made by the server, asked for until they are done.
//!
//! Paths are of the server's machine. Over HTTP only `backup.to` may be named: a login is no leave to write anywhere there.

use std::path::{Path, PathBuf};

use http::{Method, StatusCode};
use oci::RepositoryName;
use registry::backup::RestoreRepository;
use registry::bundle::Since;
use utoipa::openapi::schema::Type;

use super::{Answer, Api, Call, Doc, Given, Listing, Page, Params, Refusal};
use crate::api::{
    Backup, BackupJob, BackupRequest, BackupStatus, ExportRequest, ImportRequest, RestoreRequest,
};

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/backup",
        status,
        Doc::new("The work on backups and bundles that goes on, or the last that did, and when the next backup begins")
            .answers::<BackupStatus>(),
    )
    .at(
        &Method::POST,
        "/api/v1/backup",
        start,
        Doc::new("Begins a backup; only one goes on at a time")
            .takes::<BackupRequest>()
            .answers::<BackupJob>(),
    )
    .at(
        &Method::GET,
        "/api/v1/backup/list",
        list,
        Doc::new("The backups in a folder, oldest first")
            .query("folder", Type::String, "the folder; `backup.to` if absent, another one only over the socket")
            .paged()
            .lists::<Backup>(),
    )
    .at(
        &Method::POST,
        "/api/v1/backup/restore",
        restore,
        Doc::new("Begins to bring one repository of a backup, as a push of it would")
            .takes::<RestoreRequest>()
            .answers::<BackupJob>(),
    )
    .at(
        &Method::POST,
        "/api/v1/bundles/export",
        export,
        Doc::new("Begins to write a bundle; over the socket only")
            .takes::<ExportRequest>()
            .answers::<BackupJob>(),
    )
    .at(
        &Method::POST,
        "/api/v1/bundles/import",
        import,
        Doc::new("Begins to bring a bundle; over the socket only")
            .takes::<ImportRequest>()
            .answers::<BackupJob>(),
    )
}

async fn status(call: Call) -> Result<Answer<BackupStatus>, Refusal> {
    let options = &call.server.options;
    Ok(Answer(BackupStatus {
        to: options.backup_to.as_ref().map(|to| to.display().to_string()),
        next_at: call.registry().next_backup_ms().map(Into::into),
        job: call.registry().backup_job().map(Into::into),
    }))
}

async fn start(call: Call, Given(wanted): Given<BackupRequest>) -> Result<Answer<BackupJob>, Refusal> {
    let to = folder(&call, wanted.to)?;
    let keep = wanted
        .keep
        .map(|keep| usize::try_from(keep).unwrap_or(usize::MAX));
    if keep == Some(0) {
        return Err(Refusal::bad(
            "`keep` is at least 1: the backup that is made stays",
        ));
    }
    Ok(Answer(call.registry().begin_backup(to, keep)?.into()))
}

async fn list(call: Call, params: Params, page: Page) -> Result<Listing<Backup>, Refusal> {
    let folder = folder(&call, params.get("folder")?)?;
    let after: Option<String> = page.after()?;
    let limit = page.limit;
    let listed = tokio::task::spawn_blocking(move || registry::backup::list(&folder))
        .await
        .map_err(|failed| registry::Error::Interrupted(failed.to_string()))?
        .map_err(registry::Error::from)?;
    let mut rest = listed
        .into_iter()
        .filter(|(time, _)| after.as_ref().is_none_or(|after| time > after));
    let items: Vec<Backup> = rest.by_ref().take(limit).map(Into::into).collect();
    let last = items.last().map(|backup| backup.time.clone());
    let next = rest.next().and(last);
    Ok(Listing::new(items, next.as_ref()))
}

async fn restore(call: Call, Given(wanted): Given<RestoreRequest>) -> Result<Answer<BackupJob>, Refusal> {
    let name: RepositoryName = wanted.repository.parse()?;
    let into = match &wanted.into {
        Some(into) => into.parse()?,
        None => name.clone(),
    };
    let from = RestoreRepository {
        folder: folder(&call, wanted.from)?,
        time: wanted.backup,
        name,
        into,
        actor: Some(call.actor().to_owned()),
    };
    Ok(Answer(call.registry().begin_restore(from)?.into()))
}

async fn export(call: Call, Given(wanted): Given<ExportRequest>) -> Result<Answer<BackupJob>, Refusal> {
    local(&call)?;
    let file = file(&call, &wanted.file)?;
    let names = wanted.repositories.iter().map(|name| name.parse());
    let names: Vec<RepositoryName> = names.collect::<Result<_, _>>()?;
    let since = match wanted.since.as_deref() {
        None => None,
        Some("last") => Some(Since::Last),
        Some(text) => Some(match text.parse() {
            Ok(seq) => Since::Change(seq),
            Err(_) => Since::Bundle(self::file(&call, text)?),
        }),
    };
    Ok(Answer(call.registry().begin_export(file, names, since)?.into()))
}

async fn import(call: Call, Given(wanted): Given<ImportRequest>) -> Result<Answer<BackupJob>, Refusal> {
    local(&call)?;
    let file = file(&call, &wanted.file)?;
    let actor = Some(call.actor().to_owned());
    Ok(Answer(call.registry().begin_import(file, actor)?.into()))
}

/// Bundles are files of the machine itself.
fn local(call: &Call) -> Result<(), Refusal> {
    if call.is_local() {
        return Ok(());
    }
    let message = "a bundle is a file of the server's machine, so it is written and brought over the socket there, never over \
         HTTP: run the command on that machine, without --server";
    Err(Refusal::new(StatusCode::FORBIDDEN, "LF-API-015", message))
}

/// The folder of backups that is meant.
fn folder(call: &Call, asked: Option<String>) -> Result<PathBuf, Refusal> {
    let configured = call.server.options.backup_to.as_deref();
    match (asked, configured) {
        (None, Some(configured)) => Ok(configured.to_owned()),
        (None, None) => Err(Refusal::bad(
            "no folder is named, and `backup.to` is not set: name one",
        )),
        (Some(asked), Some(configured)) if Path::new(&asked) == configured => Ok(configured.to_owned()),
        (Some(asked), _) => file(call, &asked),
    }
}

/// A path that somebody names who could go there himself.
fn file(call: &Call, path: &str) -> Result<PathBuf, Refusal> {
    if !call.is_local() {
        let message = "over HTTP only the folder of `backup.to` is used: set it in the server's configuration, or run \
             the command on the server's machine";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "LF-API-015", message));
    }
    let path = PathBuf::from(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        let message = format!(
            "{} is not an absolute path of the server's machine",
            path.display()
        );
        Err(Refusal::bad(message))
    }
}

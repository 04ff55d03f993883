//! Repositories: list, show, give settings, rename, delete.

use access::{Delete, Pull, Push};
use http::Method;
use oci::RepositoryName;
use registry::{RepositorySettings, RepositoryView};
use utoipa::openapi::schema::Type;

use super::{Answer, Api, Call, Doc, Given, Listing, Page, Params, Path, Refusal};
use crate::api::{Repository, RepositoryDeleted, RepositoryRename, RepositorySet};

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/repositories",
        list,
        Doc::new("Repositories and what they hold")
            .paged()
            .lists::<Repository>(),
    )
    .at(
        &Method::GET,
        "/api/v1/repositories/{name}",
        show,
        Doc::new("One repository").answers::<Repository>(),
    )
    .at(
        &Method::PUT,
        "/api/v1/repositories/{name}/settings",
        set,
        Doc::new("Gives a repository settings of its own")
            .takes::<RepositorySet>()
            .answers::<Repository>(),
    )
    .at(
        &Method::POST,
        "/api/v1/repositories/{name}/rename",
        rename,
        Doc::new("Renames a repository")
            .takes::<RepositoryRename>()
            .answers::<Repository>(),
    )
    .at(
        &Method::GET,
        "/api/v1/repositories/{name}/removable",
        removable,
        Doc::new("One repository and the undo window in force there, or why it cannot be deleted, or renamed to `as`")
            .query("as", Type::String, "the new name; a delete is meant if absent")
            .answers::<Repository>(),
    )
    .at(
        &Method::DELETE,
        "/api/v1/repositories/{name}",
        delete,
        Doc::new("Deletes a repository with all that it holds; it can come back until its undo window ends")
            .answers::<RepositoryDeleted>(),
    )
}

async fn list(call: Call, page: Page) -> Result<Listing<Repository>, Refusal> {
    let permit = call.caller.may_list_catalog();
    let views = call
        .registry()
        .repository_views(&permit, page.after()?, page.limit)
        .await?;
    let last = views.items.last().map(|view| view.name.to_string());
    let items = views.items.iter().map(repository).collect();
    Ok(Listing::new(items, last.filter(|_| views.more).as_ref()))
}

async fn show(call: Call, Path(name): Path<String>) -> Result<Answer<Repository>, Refusal> {
    shown(&call, &name.parse()?).await
}

async fn shown(call: &Call, name: &RepositoryName) -> Result<Answer<Repository>, Refusal> {
    let permit = call.may(Pull, name)?;
    Ok(Answer(repository(
        &call.registry().repository_view(&permit).await?,
    )))
}

async fn set(
    call: Call,
    Path(name): Path<String>,
    Given(wanted): Given<RepositorySet>,
) -> Result<Answer<Repository>, Refusal> {
    let name: RepositoryName = name.parse()?;
    let permit = call.may(Delete, &name)?;
    let undo_window_ms = wanted
        .undo_window_seconds
        .map(|seconds| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX));
    call.registry()
        .set_repository(&permit, RepositorySettings { undo_window_ms })
        .await?;
    shown(&call, &name).await
}

async fn rename(
    call: Call,
    Path(name): Path<String>,
    Given(wanted): Given<RepositoryRename>,
) -> Result<Answer<Repository>, Refusal> {
    let (old, new): (RepositoryName, RepositoryName) = (name.parse()?, wanted.name.parse()?);
    let (may_delete, may_push) = (call.may(Delete, &old)?, call.may(Push, &new)?);
    if call.registry().rename_repository(&may_delete, &may_push).await? {
        shown(&call, &new).await
    } else {
        Err(taken(&new))
    }
}

fn taken(new: &RepositoryName) -> Refusal {
    Refusal::conflict(format!("there is a repository {new} already"))
}

async fn removable(
    call: Call,
    Path(name): Path<String>,
    params: Params,
) -> Result<Answer<Repository>, Refusal> {
    let name: RepositoryName = name.parse()?;
    let may_delete = call.may(Delete, &name)?;
    let new: Option<RepositoryName> = params.get("as")?;
    let Answer(mut found) = shown(&call, &name).await?;
    match new {
        Some(new) => {
            let may_push = call.may(Push, &new)?;
            if !call.registry().may_be_renamed(&may_delete, &may_push).await? {
                return Err(taken(&new));
            }
        }
        None => call.registry().may_be_deleted(&may_delete).await?,
    }
    let in_force = call.registry().rules().undo_window_ms;
    found.undo_window_seconds.get_or_insert(seconds(in_force));
    Ok(Answer(found))
}

async fn delete(call: Call, Path(name): Path<String>) -> Result<Answer<RepositoryDeleted>, Refusal> {
    let permit = call.may(Delete, &name.parse()?)?;
    let deleted = call.registry().delete_repository(&permit).await?;
    Ok(Answer(RepositoryDeleted {
        op: deleted.op,
        until: deleted.until.into(),
    }))
}

fn repository(view: &RepositoryView) -> Repository {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Repository {
        name: view.name.to_string(),
        created_at: view.created_at.into(),
        tags: count(view.usage.tags),
        manifests: count(view.usage.manifests),
        trashed: count(view.usage.trashed),
        bytes: count(view.usage.bytes),
        last_push_at: view.last_push_at.map(Into::into),
        pulls: view.pulls,
        last_pull_at: view.last_pull_at.map(Into::into),
        undo_window_seconds: view.settings.undo_window_ms.map(seconds),
    }
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1000).unwrap_or(0)
}

//! The trash: list, restore, empty.

use access::{Delete, Permit, Pull, Push};
use http::{Method, StatusCode};
use oci::{Digest, DigestPrefix, Reference, RepositoryName};
use registry::{RestoreWish, Restored, TrashEntry, TrashKind as Kind, TrashPlace};
use utoipa::openapi::schema::Type;

use super::why::{NAMED_MAX, ambiguous};
use super::{Answer, Api, Call, Doc, Given, Listing, Page, Params, Path, Refusal};
use crate::api::{TagTaken, TrashEmptied, TrashEmpty, TrashItem, TrashKind, TrashRestore, TrashRestored};

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/trash",
        list,
        Doc::new("Deletes that can be taken back; those that can be longest stand first")
            .paged()
            .query("repository", Type::String, "only of the repositories that have or had this name")
            .lists::<TrashItem>(),
    )
    .at(
        &Method::POST,
        "/api/v1/trash/{op}/restore",
        restore,
        Doc::new("Takes back a delete: its number, or what it took, as `team/app:1.2`, `team/app@sha256:…` (a beginning does) or `team/app`")
            .takes::<TrashRestore>()
            .answers::<TrashRestored>(),
    )
    .at(
        &Method::POST,
        "/api/v1/trash/empty",
        empty,
        Doc::new("Ends the undo window of what was deleted, for good")
            .takes::<TrashEmpty>()
            .answers::<TrashEmptied>(),
    )
}

async fn list(call: Call, page: Page, params: Params) -> Result<Listing<TrashItem>, Refusal> {
    let repository: Option<RepositoryName> = params.get("repository")?;
    let after: Option<TrashPlace> = page.after()?;
    let permit = call.caller.may_list_catalog();
    let found = call
        .registry()
        .list_trash(&permit, repository, after, page.limit)
        .await?;
    let items = found.items.into_iter().map(item).collect();
    Ok(Listing::new(items, found.next.as_ref()))
}

fn item(entry: TrashEntry) -> TrashItem {
    TrashItem {
        op: entry.op,
        kind: match entry.kind {
            Kind::Tag => TrashKind::Tag,
            Kind::Manifest => TrashKind::Manifest,
            Kind::Blob => TrashKind::Blob,
            Kind::Repository => TrashKind::Repository,
        },
        repository: entry.repository.to_string(),
        in_deleted_repository: entry.in_deleted_repository,
        target: entry.target,
        at: entry.at.into(),
        by: entry.by,
        from: entry.remote,
        rule: entry
            .reason
            .as_deref()
            .and_then(registry::rules_of_reason)
            .map(str::to_owned),
        reason: entry.reason,
        until: entry.until.into(),
        tags: entry.tags.iter().map(ToString::to_string).collect(),
        manifests: entry.manifests,
        frees: entry.frees,
    }
}

/// The operation that is meant, and where it was done.
async fn find(call: &Call, what: &str) -> Result<(i64, RepositoryName), Refusal> {
    let missing = || {
        Refusal::missing(format!(
            "nothing of {what} is in the trash: `landfall trash list` shows what is"
        ))
    };
    if let Ok(op) = what.parse::<i64>() {
        let name = call.registry().repository_of(op).await?.ok_or_else(missing)?;
        return Ok((op, name));
    }
    let (name, digest, tag) = match (what.split_once('@'), what.split_once(':')) {
        (Some((name, digest)), _) => (name, Some(digest), None),
        (None, Some((name, tag))) => (name, None, Some(tag)),
        (None, None) => (what, None, None),
    };
    let name: RepositoryName = name.parse()?;
    let permit = call.may(Pull, &name)?;
    let reference = match (digest, tag) {
        (Some(digest), _) => match whole_digest(call, &permit, digest).await? {
            Some(digest) => Some(Reference::Digest(digest)),
            None => return Err(missing()),
        },
        (None, Some(tag)) => Some(Reference::Tag(tag.parse()?)),
        (None, None) => None,
    };
    let op = call.registry().find_in_trash(&permit, reference).await?;
    Ok((op.ok_or_else(missing)?, name))
}

/// The digest, or the one in the trash that begins so.
async fn whole_digest(call: &Call, permit: &Permit<Pull>, text: &str) -> Result<Option<Digest>, Refusal> {
    if let Ok(digest) = text.parse() {
        return Ok(Some(digest));
    }
    let prefix: DigestPrefix = text
        .parse()
        .map_err(|bad: oci::BadPrefix| Refusal::bad(bad.to_string()))?;
    let mut found = call.registry().in_trash_like(permit, &prefix, NAMED_MAX).await?;
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(ambiguous(text, &found)),
    }
}

async fn restore(
    call: Call,
    Path(what): Path<String>,
    Given(wanted): Given<TrashRestore>,
) -> Result<Answer<TrashRestored>, Refusal> {
    let (op, name) = find(&call, &what).await?;
    let permit = call.may(Push, &name)?;
    let new_name = wanted.new_name.as_deref();
    let new_repository = new_name.and_then(|text| text.parse::<RepositoryName>().ok());
    let renamed = match &new_repository {
        Some(new) => Some(call.may(Push, new)?),
        None => None,
    };
    let wish = RestoreWish {
        force: wanted.force,
        as_tag: new_name.and_then(|text| text.parse().ok()),
        as_repository: None,
        dry_run: wanted.dry_run,
    };
    if new_name.is_some() && wish.as_tag.is_none() && renamed.is_none() {
        return Err(Refusal::bad(
            "`new_name` is neither a tag nor the name of a repository",
        ));
    }
    let texts = |digests: Vec<oci::Digest>| digests.iter().map(ToString::to_string).collect();
    let done = call
        .registry()
        .restore(&permit, op, wish, renamed.as_ref())
        .await?;
    let empty = TrashRestored {
        op,
        repository: name.to_string(),
        manifests: Vec::new(),
        tags: Vec::new(),
        taken: Vec::new(),
        gone: Vec::new(),
    };
    match done {
        Restored::Done {
            manifests,
            tags,
            taken,
            gone,
        } => Ok(Answer(TrashRestored {
            manifests: texts(manifests),
            tags: tags.iter().map(ToString::to_string).collect(),
            taken: taken.into_iter().map(tag_taken).collect(),
            gone: texts(gone),
            ..empty
        })),
        Restored::Repository(new) => Ok(Answer(TrashRestored {
            repository: new.to_string(),
            ..empty
        })),
        other => Err(refused(&name, op, other)),
    }
}

fn tag_taken(taken: registry::TakenTag) -> TagTaken {
    TagTaken {
        tag: taken.tag.to_string(),
        wanted: taken.wanted.to_string(),
        now: taken.now.to_string(),
        by: taken.by,
        at: taken.at.into(),
    }
}

/// Why nothing came back.
fn refused(name: &RepositoryName, op: i64, restored: Restored) -> Refusal {
    match restored {
        Restored::Taken(taken) => {
            let tags: Vec<String> = taken
                .iter()
                .map(|one| format!("{name}:{} leads to {} by now", one.tag, one.now))
                .collect();
            Refusal::conflict(format!(
                "{}: --force moves it back, --as NEWTAG brings it back under another name",
                tags.join(", ")
            ))
        }
        Restored::NameTaken(taken) => Refusal::conflict(format!(
            "there is another repository {taken} by now: --as NEWNAME brings this one back under another name"
        )),
        Restored::RepositoryDeleted(repository) => Refusal::conflict(format!(
            "repository {repository}, which it was in, was deleted itself: `landfall trash restore {repository}` first"
        )),
        Restored::AlreadyUndone => Refusal::conflict(format!("operation {op} was taken back before")),
        Restored::Gone => Refusal::new(
            StatusCode::GONE,
            "LF-API-015",
            format!(
                "what operation {op} deleted is back already, or its undo window has ended and it is gone for good"
            ),
        ),
        Restored::NotInTrash => Refusal::conflict(format!(
            "operation {op} deleted nothing, so it is not in the trash and nothing was changed: `landfall trash list` shows \
             what is; a tag that was pushed over goes back with `landfall tag history {name}:TAG` and `landfall tag \
             rollback {name}:TAG`"
        )),
        Restored::Unknown | Restored::Done { .. } | Restored::Repository(_) => {
            Refusal::missing(format!("there is no operation {op} that could be taken back"))
        }
    }
}

async fn empty(call: Call, Given(wanted): Given<TrashEmpty>) -> Result<Answer<TrashEmptied>, Refusal> {
    let permit = match &wanted.repository {
        Some(name) => Some(call.may(Delete, &name.parse()?)?),
        None => None,
    };
    let older_than_ms = i64::try_from(wanted.older_than_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    let emptied = call
        .registry()
        .empty_trash(permit.as_ref(), older_than_ms)
        .await?;
    Ok(Answer(TrashEmptied {
        operations: u64::try_from(emptied.operations).unwrap_or(u64::MAX),
        manifests: emptied.manifests,
    }))
}

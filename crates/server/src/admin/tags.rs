//! Tags: list, history, rollback, set, delete.

use access::{Delete, Pull, Push};
use http::Method;
use oci::RepositoryName;
use registry::{EventKind, MoveTo, TagMoved as Moved};

use super::{Answer, Api, Call, Doc, Given, Listing, Page, Path, Refusal};
use crate::api::{Tag, TagDeleted, TagMove, TagMoved, TagStep, TagStepKind};

pub(super) fn routes(api: Api) -> Api {
    let tag = "/api/v1/repositories/{name}/tags/{tag}";
    api.at(
        &Method::GET,
        "/api/v1/repositories/{name}/tags",
        list,
        Doc::new("Tags, what they lead to, who set them, and who pulls them")
            .paged()
            .lists::<Tag>(),
    )
    .at(
        &Method::GET,
        "/api/v1/repositories/{name}/tags/{tag}/history",
        history,
        Doc::new("Every step in the life of a tag, newest first")
            .paged()
            .lists::<TagStep>(),
    )
    .at(
        &Method::POST,
        "/api/v1/repositories/{name}/tags/{tag}/rollback",
        rollback,
        Doc::new("Sets a tag back to what it was, also one that was deleted")
            .takes::<TagMove>()
            .answers::<TagMoved>(),
    )
    .at(
        &Method::POST,
        "/api/v1/repositories/{name}/tags/{tag}/set",
        set,
        Doc::new("Sets a tag to what a tag or digest of the repository leads to")
            .takes::<TagMove>()
            .answers::<TagMoved>(),
    )
    .at(
        &Method::DELETE,
        tag,
        delete,
        Doc::new("Deletes a tag; its image stays").answers::<TagDeleted>(),
    )
}

async fn list(call: Call, Path(name): Path<String>, page: Page) -> Result<Listing<Tag>, Refusal> {
    let permit = call.may(Pull, &name.parse()?)?;
    let views = call
        .registry()
        .tag_views(&permit, page.after()?, page.limit)
        .await?;
    let last = views.items.last().map(|view| view.tag.clone());
    let items = views.items.into_iter().map(|view| Tag {
        tag: view.tag,
        digest: view.digest.to_string(),
        media_type: view.media_type,
        bytes: view.size,
        platforms: view.platforms,
        pushed_at: view.pushed_at.into(),
        pushed_by: view.pushed_by,
        pulls: view.pulls,
        last_pull_at: view.last_pull_at.map(Into::into),
    });
    Ok(Listing::new(
        items.collect(),
        last.filter(|_| views.more).as_ref(),
    ))
}

async fn history(
    call: Call,
    Path((name, tag)): Path<(String, String)>,
    page: Page,
) -> Result<Listing<TagStep>, Refusal> {
    let permit = call.may(Pull, &name.parse()?)?;
    let after = page.after()?;
    let mut events = call
        .registry()
        .tag_history(&permit, &tag.parse()?, after, page.limit + 1)
        .await?;
    if events.is_empty() && after.is_none() {
        return Err(Refusal::missing(format!(
            "there is no tag {name}:{tag}, and never was: `landfall tag list {name}` shows those that are there"
        )));
    }
    let more = events.len() > page.limit;
    events.truncate(page.limit);
    let last = events.last().map(|event| event.seq).filter(|_| more);
    let digest = |digest: Option<oci::Digest>| digest.map(|digest| digest.to_string());
    let items = events.into_iter().map(|event| TagStep {
        seq: event.seq,
        at: event.at.into(),
        kind: match event.kind {
            EventKind::Set => TagStepKind::Set,
            EventKind::Deleted => TagStepKind::Deleted,
            EventKind::Trashed => TagStepKind::Trashed,
            EventKind::Restored => TagStepKind::Restored,
            EventKind::RolledBack => TagStepKind::RolledBack,
        },
        old: digest(event.old),
        new: digest(event.new),
        by: event.actor,
        from: event.remote,
        op: event.op,
        rule: event
            .reason
            .as_deref()
            .and_then(registry::rules_of_reason)
            .map(str::to_owned),
        reason: event.reason,
    });
    Ok(Listing::new(items.collect(), last.as_ref()))
}

async fn rollback(
    call: Call,
    Path((name, tag)): Path<(String, String)>,
    Given(wanted): Given<TagMove>,
) -> Result<Answer<TagMoved>, Refusal> {
    let to = match wanted.to {
        None => MoveTo::Before,
        // Digits alone are a step; the beginning of a digest is told by its algorithm, or by its length.
        Some(text) if text.len() < 12 && text.bytes().all(|b| b.is_ascii_digit()) => {
            MoveTo::Event(text.parse().unwrap_or(i64::MAX))
        }
        Some(text) => MoveTo::Past(text),
    };
    move_tag(&call, &name.parse()?, &tag.parse()?, to, wanted.dry_run).await
}

async fn set(
    call: Call,
    Path((name, tag)): Path<(String, String)>,
    Given(wanted): Given<TagMove>,
) -> Result<Answer<TagMoved>, Refusal> {
    let Some(to) = wanted.to else {
        return Err(Refusal::bad("`to` is missing: a tag or digest of the repository"));
    };
    let to = MoveTo::Reference(to.parse()?);
    move_tag(&call, &name.parse()?, &tag.parse()?, to, wanted.dry_run).await
}

async fn move_tag(
    call: &Call,
    name: &RepositoryName,
    tag: &oci::Tag,
    to: MoveTo,
    dry_run: bool,
) -> Result<Answer<TagMoved>, Refusal> {
    let permit = call.may(Push, name)?;
    let target = match &to {
        MoveTo::Reference(target) => Some(target.to_string()),
        MoveTo::Before | MoveTo::Event(_) | MoveTo::Past(_) => None,
    };
    let refused = match call.registry().move_tag(&permit, tag, to, dry_run).await? {
        Moved::Done { from, to, restored } => {
            return Ok(Answer(TagMoved {
                from: from.map(|digest| digest.to_string()),
                to: to.to_string(),
                restored: restored.iter().map(ToString::to_string).collect(),
            }));
        }
        Moved::Same(digest) => {
            return Ok(Answer(TagMoved {
                from: Some(digest.to_string()),
                to: digest.to_string(),
                restored: Vec::new(),
            }));
        }
        Moved::NoRepository => registry::Error::RepositoryUnknown(name.clone()).into(),
        Moved::NoTag => Refusal::missing(format!("{name}:{tag} never was: it has no history")),
        Moved::NothingThere => Refusal::conflict(format!(
            "there was no {name}:{tag} at that point of its history: `landfall tag history {name}:{tag}` shows it, \
             `landfall tag delete {name}:{tag}` deletes the tag"
        )),
        Moved::NoTarget => Refusal::missing(match target {
            Some(target) => format!(
                "there is no {target} in {name} to set {name}:{tag} to: `landfall tag list {name}` shows its tags"
            ),
            None => format!(
                "that is not in the history of {name}:{tag}, or not in the repository: `landfall tag history {name}:{tag}`"
            ),
        }),
        Moved::Ambiguous(digests) => Refusal::bad(format!(
            "several digests in the history of {name}:{tag} begin like that: {}",
            digests
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        )),
        Moved::Purged(digest) => Refusal::new(
            http::StatusCode::GONE,
            "LF-API-015",
            format!("{digest} was deleted and its undo window has ended: it is gone for good, push it again"),
        ),
    };
    Err(refused)
}

async fn delete(
    call: Call,
    Path((name, tag)): Path<(String, String)>,
) -> Result<Answer<TagDeleted>, Refusal> {
    let name: RepositoryName = name.parse()?;
    let permit = call.may(Delete, &name)?;
    match call.registry().delete_tag(&permit, &tag.parse()?).await? {
        Some(deleted) => Ok(Answer(TagDeleted {
            op: deleted.op,
            digest: deleted.digest.to_string(),
            until: deleted.until.into(),
        })),
        None => Err(Refusal::missing(format!("there is no {name}:{tag}"))),
    }
}

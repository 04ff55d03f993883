//! Where the bytes are: of everything, of repositories, of the images of tags.

use http::Method;
use registry::{RepositorySpace, TagSpace};
use utoipa::openapi::schema::Type;

use super::{Answer, Api, Call, Doc, Listing, Page, Params, Path, Refusal, gc};
use crate::api::{RepositoryUsage, TagUsage, Usage};

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/usage",
        everything,
        Doc::new("What is stored, what of it is on its way out, and what the disk has").answers::<Usage>(),
    )
    .at(
        &Method::GET,
        "/api/v1/usage/repositories",
        repositories,
        Doc::new("What each repository takes, exactly; by name, or the largest first")
            .paged()
            .query(
                "top",
                Type::Integer,
                "only so many, those with most bytes, the largest first; 1 to 1000, on one page",
            )
            .lists::<RepositoryUsage>(),
    )
    .at(
        &Method::GET,
        "/api/v1/usage/repositories/{name}",
        repository,
        Doc::new("What one repository takes, exactly").answers::<RepositoryUsage>(),
    )
    .at(
        &Method::GET,
        "/api/v1/usage/repositories/{name}/tags",
        tags,
        Doc::new("What the image of each tag takes and what deleting it would free, exactly")
            .paged()
            .lists::<TagUsage>(),
    )
}

async fn everything(call: Call) -> Result<Answer<Usage>, Refusal> {
    let space = call.registry().space().await?;
    let pending = gc::pending(&call).await?.0;
    Ok(Answer(Usage {
        blobs: space.blobs,
        bytes: space.bytes,
        pending,
        disk_free: space.disk_free,
        disk_total: space.disk_total,
    }))
}

async fn repositories(call: Call, page: Page, params: Params) -> Result<Listing<RepositoryUsage>, Refusal> {
    let after: Option<String> = page.after()?;
    if let Some(top) = params.number("top", 1..=Page::LIMIT_MAX)? {
        if after.is_some() {
            return Err(Refusal::bad("`top` goes without `after`: all are on one page"));
        }
        let largest = call.registry().largest_repositories(top).await?;
        return Ok(Listing::new(
            largest.iter().map(of_repository).collect(),
            None::<&String>,
        ));
    }
    let (found, more) = call.registry().space_of_repositories(after, page.limit).await?;
    let items: Vec<RepositoryUsage> = found.iter().map(of_repository).collect();
    let next = items.last().map(|one| one.name.clone()).filter(|_| more);
    Ok(Listing::new(items, next.as_ref()))
}

async fn repository(call: Call, Path(name): Path<String>) -> Result<Answer<RepositoryUsage>, Refusal> {
    let space = call.registry().space_of_repository(&name.parse()?).await?;
    Ok(Answer(of_repository(&space)))
}

async fn tags(call: Call, Path(name): Path<String>, page: Page) -> Result<Listing<TagUsage>, Refusal> {
    let after: Option<String> = page.after()?;
    let (found, more) = call
        .registry()
        .space_of_tags(&name.parse()?, after, page.limit)
        .await?;
    let items: Vec<TagUsage> = found.iter().map(of_tag).collect();
    let next = items.last().map(|one| one.tag.clone()).filter(|_| more);
    Ok(Listing::new(items, next.as_ref()))
}

fn of_repository(space: &RepositorySpace) -> RepositoryUsage {
    RepositoryUsage {
        name: space.name.to_string(),
        tags: space.tags,
        manifests: space.manifests,
        unique: space.sums.unique,
        shared: space.sums.shared,
        would_free: space.sums.unique,
        trash: space.sums.trash,
        trash_gone_by: space.trash_gone_by.map(Into::into),
        pending: space.sums.pending,
        pending_gone_by: space.pending_gone_by.map(Into::into),
    }
}

fn of_tag(space: &TagSpace) -> TagUsage {
    TagUsage {
        tag: space.tag.to_string(),
        digest: space.digest.to_string(),
        manifests: space.manifests,
        bytes: space.bytes,
        unique: space.unique,
        shared: space.bytes - space.unique,
        would_free: space.would_free,
    }
}

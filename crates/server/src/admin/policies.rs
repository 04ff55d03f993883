//! Rules: those of the file and those made here, listed together; made, changed and removed where they were made here.

use http::Method;
use registry::{Listed, PolicyKind, RuleSource};
use utoipa::openapi::schema::Type;

use super::{Answer, Api, Call, Doc, Given, Listing, Page, Params, Path, Refusal};
use crate::api::{Policy, PolicyOrder, PolicyRemoved, PolicyRule, PolicySet, QuotaUsed};

const KINDS: [(&str, PolicyKind); 3] = [
    ("retention", PolicyKind::Retention),
    ("quota", PolicyKind::Quota),
    ("immutable_tags", PolicyKind::Immutable),
];

pub(super) fn routes(api: Api) -> Api {
    api.at(
        &Method::GET,
        "/api/v1/policies",
        list,
        Doc::new("All rules, those of the file too")
            .query(
                "kind",
                Type::String,
                "only `retention`, `quota` or `immutable_tags`",
            )
            .paged()
            .lists::<Policy>(),
    )
    .at(
        &Method::POST,
        "/api/v1/policies",
        set,
        Doc::new("Makes a rule, or changes the one of that name")
            .takes::<PolicyOrder>()
            .answers::<PolicySet>(),
    )
    .at(
        &Method::DELETE,
        "/api/v1/policies/{kind}/{name}",
        remove,
        Doc::new("Removes a rule that was made here").answers::<PolicyRemoved>(),
    )
}

async fn list(call: Call, params: Params, page: Page) -> Result<Listing<Policy>, Refusal> {
    let wanted: Option<String> = params.get("kind")?;
    if let Some(wanted) = &wanted {
        kind(wanted)?;
    }
    let registry = call.registry();
    let mut all: Vec<Policy> = Vec::new();
    all.extend(
        registry
            .retention_rules()
            .into_iter()
            .map(|one| policy(one, 0, PolicyRule::Retention)),
    );
    all.extend(
        registry
            .quotas()
            .into_iter()
            .map(|one| policy(one, 1, PolicyRule::Quota)),
    );
    all.extend(
        registry
            .immutable_rules()
            .into_iter()
            .map(|one| policy(one, 2, PolicyRule::ImmutableTags)),
    );
    all.retain(|one| wanted.as_ref().is_none_or(|wanted| *wanted == one.kind));
    all.sort_by_key(key);
    let after: Option<(String, String, bool)> = page.after()?;
    all.retain(|one| after.as_ref().is_none_or(|after| key(one) > *after));
    let more = all.len() > page.limit;
    all.truncate(page.limit);
    if all.iter().any(|one| matches!(one.rule, PolicyRule::Quota(_))) {
        let used = registry.quotas_used().await?;
        for one in &mut all {
            let counts = matches!(one.rule, PolicyRule::Quota(_)) && one.ignored.is_none();
            one.used = used.get(&one.name).filter(|_| counts).map(quota_used);
        }
    }
    let next = all.last().filter(|_| more).map(key);
    Ok(Listing::new(all, next.as_ref()))
}

/// A rule of the file before one that its name hides.
fn key(one: &Policy) -> (String, String, bool) {
    (one.kind.clone(), one.name.clone(), !one.of_file)
}

fn policy<T>(listed: Listed<T>, at: usize, rule: impl Fn(T) -> PolicyRule) -> Policy {
    let (set_by, set_at) = match listed.source {
        RuleSource::File => (None, None),
        RuleSource::Command { by, at } => (Some(by), Some(at.into())),
    };
    Policy {
        name: listed.name,
        kind: KINDS[at].0.to_owned(),
        of_file: set_by.is_none(),
        set_by,
        set_at,
        ignored: listed.ignored,
        rule: rule(listed.spec),
        used: None,
    }
}

fn quota_used(used: &registry::QuotaUsed) -> QuotaUsed {
    QuotaUsed {
        bytes: used.bytes,
        bytes_in: used.bytes_in.as_ref().map(ToString::to_string),
        tags: used.tags,
        tags_in: used.tags_in.as_ref().map(ToString::to_string),
    }
}

fn kind(word: &str) -> Result<PolicyKind, Refusal> {
    let known = KINDS.iter().find(|(name, _)| *name == word);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        Refusal::bad(format!(
            "{word:?} is no kind of rule: `retention`, `quota` or `immutable_tags`"
        ))
    })
}

async fn set(call: Call, Given(order): Given<PolicyOrder>) -> Result<Answer<PolicySet>, Refusal> {
    let (registry, by) = (call.registry(), call.actor());
    let (name, created) = match order {
        PolicyOrder {
            retention: Some(spec),
            quota: None,
            immutable_tags: None,
        } => (spec.name.clone(), registry.set_retention(&spec, by).await?),
        PolicyOrder {
            retention: None,
            quota: Some(spec),
            immutable_tags: None,
        } => (spec.repositories.clone(), registry.set_quota(&spec, by).await?),
        PolicyOrder {
            retention: None,
            quota: None,
            immutable_tags: Some(spec),
        } => (
            spec.repositories.clone(),
            registry.set_immutable(&spec, by).await?,
        ),
        PolicyOrder { .. } => {
            return Err(Refusal::bad(
                "one rule is expected: `retention`, `quota` or `immutable_tags`",
            ));
        }
    };
    Ok(Answer(PolicySet { name, created }))
}

async fn remove(
    call: Call,
    Path((word, name)): Path<(String, String)>,
) -> Result<Answer<PolicyRemoved>, Refusal> {
    call.registry()
        .remove_policy(kind(&word)?, &name, call.actor())
        .await?;
    Ok(Answer(PolicyRemoved { name }))
}

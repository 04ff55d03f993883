//! A repository that the source deleted, or gave another name: here it goes to the trash, whole, so that it comes back whole.
//!
//! One that holds a tag which somebody set here, or which is immutable here, stays, and loses only what the source had set.
//! Fails: a catalog. What stays comes with the answer, and why.

use std::collections::HashMap;
use std::path::Path;

use catalog::{Guard as _, HeldTag, Tx};
use oci::{Digest, RepositoryName};

use super::import::{Imported, digest_in};
use super::record::BundleRepository;
use super::tags::{Age, leave};
use crate::{Error, Registry};

/// Tags that are read at once.
const PAGE: usize = 1024;

/// What became of it.
enum Outcome {
    NotHere,
    Deleted,
    /// Some tag keeps it here: the source did not set it, or it is immutable.
    Stays,
}

impl Registry {
    /// Deletes a repository that the source deleted; `brought`: whether it was ever brought from there.
    pub(super) async fn bring_deletion(
        &self,
        bundle: &Path,
        name: &RepositoryName,
        about: &BundleRepository,
        (age, brought): (Age, bool),
        actor: Option<&str>,
        imported: &mut Imported,
    ) -> Result<(), Error> {
        if !brought {
            return Ok(()); // what is here under this name is not theirs
        }
        let mut theirs: HashMap<String, Vec<Digest>> = HashMap::new();
        for tag in about.tags.iter().filter(|_| age == Age::Later) {
            let before = tag.before.iter().map(|text| digest_in(bundle, text));
            theirs.insert(tag.name.clone(), before.collect::<Result<_, _>>()?);
        }
        let outcome = match (age, self.may_delete()) {
            (Age::Later, Ok(())) => self.delete_unless_changed(name, theirs.clone(), actor).await?,
            (Age::Later, Err(error)) if !matches!(error, Error::DeleteDisabled) => return Err(error),
            _ => Outcome::Stays,
        };
        match outcome {
            Outcome::NotHere => return Ok(()),
            Outcome::Deleted => {
                imported.repositories_deleted.push(name.to_string());
                return Ok(());
            }
            Outcome::Stays => {}
        }
        for held in self.tags_of(name).await? {
            match theirs.get(&*held.tag) {
                Some(from) if from.contains(&held.digest) => {
                    self.remove_tag(name, &held.tag, from, imported).await?;
                }
                _ => leave(imported, name, &held.tag, why(age)),
            }
        }
        Ok(())
    }

    /// In one transaction, so that nobody sets a tag in between.
    async fn delete_unless_changed(
        &self,
        name: &RepositoryName,
        theirs: HashMap<String, Vec<Digest>>,
        actor: Option<&str>,
    ) -> Result<Outcome, Error> {
        let rules = self.inner.policies.in_force();
        let (name, actor) = (name.clone(), actor.map(str::to_owned));
        let (now, undo_ms) = (self.now(), self.rules().undo_window_ms);
        let delete = move |tx: &mut Tx<'_>| {
            let keeps = |held: &HeldTag| {
                let from = theirs.get(&*held.tag);
                from.is_none_or(|from| !from.contains(&held.digest))
                    || rules.immutable_by(&name, &held.tag).is_some()
            };
            if tags_of(tx, &name)?.iter().any(keeps) {
                return Ok(Outcome::Stays);
            }
            let deleted = catalog::delete_repository(tx, &name, now, undo_ms, actor.as_deref())?;
            Ok(deleted.map_or(Outcome::NotHere, |_| Outcome::Deleted))
        };
        self.write_even_when_full(delete).await
    }

    async fn tags_of(&self, name: &RepositoryName) -> Result<Vec<HeldTag>, Error> {
        let name = name.clone();
        Ok(self.inner.catalog.read(move |tx| tags_of(tx, &name)).await?)
    }
}

fn tags_of(tx: &mut Tx<'_>, name: &RepositoryName) -> Result<Vec<HeldTag>, catalog::Error> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = catalog::held_tags(tx, name, &after, PAGE)?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.tag.to_string();
        all.extend(page);
    }
}

fn why(age: Age) -> String {
    match age {
        Age::Later => "its repository was deleted there, and it was set to something else here".to_owned(),
        Age::Same => {
            "its repository was deleted there; it was set here since this bundle was brought".to_owned()
        }
        Age::Earlier(seq) => format!(
            "its repository was deleted there, but this bundle is older than what was brought here from there before (change {seq})"
        ),
    }
}

//! What a client does all day: it pushes images in every way, leaves uploads half-way and takes them up again.
//!
//! Fails: with what the server should not have answered, or because it is gone.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::changes::Deleted;
use super::{SHARED_LAYERS, Shared, some_layer};
use crate::client::{Client, Trouble, Way, digest};
use crate::dice::Dice;
use crate::image::{Descriptor, Image};
use crate::ledger::{Key, Ledger, Tag};

/// What a manifest is refused with whose blobs are not there.
const BLOB_UNKNOWN: &str = "MANIFEST_BLOB_UNKNOWN";

/// A session left half-way, to be taken up again later.
struct Kept {
    name: String,
    session: String,
    bytes: Vec<u8>,
}

/// A client, and what it remembers.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) dice: Dice,
    pub(super) names: [String; 2],
    client: Option<(SocketAddr, Client)>,
    kept: Option<Kept>,
    /// Deletes that may be taken back.
    pub(super) deleted: Vec<Deleted>,
    round: u32,
}

impl Worker {
    pub(super) fn new(number: usize, shared: Arc<Shared>, dice: Dice) -> Self {
        Self {
            shared,
            dice,
            names: ["a", "b/c"].map(|end| format!("load/{number}/{end}")),
            client: None,
            kept: None,
            deleted: Vec::new(),
            round: 0,
        }
    }

    /// Round after round, until it is sent home.
    pub(super) fn work(mut self) {
        while !self.shared.ending.load(Ordering::Relaxed) {
            let shared = Arc::clone(&self.shared);
            // Poisoned: the test has failed while it held the clients, and says why itself.
            let Ok(address) = shared.address.read() else {
                return;
            };
            let outcome = self.round(*address);
            drop(address);
            shared.rounds.fetch_add(1, Ordering::Relaxed);
            if let Err(trouble) = outcome {
                if let Some((_, client)) = self.client.take() {
                    self.ledger().sessions.extend(client.into_open_session());
                }
                if let Trouble::Refused(what) = trouble {
                    self.shared
                        .refusals
                        .lock()
                        .expect("nobody panics over refusals")
                        .push(what);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().expect("nobody panics over the ledger")
    }

    pub(super) fn client(&mut self) -> &mut Client {
        &mut self.client.as_mut().expect("a round begins with a connection").1
    }

    /// One push, with what surrounds it in a client's life.
    fn round(&mut self, address: SocketAddr) -> Result<(), Trouble> {
        if self
            .client
            .as_ref()
            .is_none_or(|(connected, _)| *connected != address)
        {
            self.client = Some((address, Client::connect(address)?));
        }
        self.round += 1;
        let name = self.names[self.dice.index(2)].clone();
        match self.kept.take() {
            Some(kept) => self.take_up_session(kept)?,
            None if self.dice.one_in(6) => self.leave_session(&name)?,
            None => {}
        }
        let tag = if self.dice.one_in(3) {
            "latest".to_owned()
        } else {
            format!("v{}", self.round)
        };
        let subject = self.push_image(&name, Some(&tag), None)?;
        if self.dice.one_in(4) {
            self.push_image(&name, None, Some(&subject))?;
        }
        if self.dice.one_in(10) {
            self.delete_tag(&name, &tag)?;
        }
        if self.shared.collected.is_some() {
            self.change(&name)?;
        }
        Ok(())
    }

    fn push_image(
        &mut self,
        name: &str,
        tag: Option<&str>,
        subject: Option<&Descriptor>,
    ) -> Result<Descriptor, Trouble> {
        let layers = (0..=self.dice.below(3)).map(|_| self.layer()).collect();
        let image = Image::of_layers(layers, "amd64", subject);
        let descriptor = image.descriptor();
        let key: Key = (name.to_owned(), descriptor.digest.clone());
        let tag_key: Option<Key> = tag.map(|tag| (name.to_owned(), tag.to_owned()));
        let (manifest, tagged) = loop {
            let began = Instant::now();
            for blob in &image.blobs {
                self.push_blob(name, blob)?;
            }
            let attempt = {
                let mut ledger = self.ledger();
                let blobs = image.blobs.iter().map(|blob| digest(blob)).collect();
                let subject = subject.map(|subject| subject.digest.clone());
                let manifest = ledger.try_manifest(&key, blobs, subject);
                let tagged = tag_key
                    .as_ref()
                    .map(|tag| (tag, ledger.try_tag(tag, Some(descriptor.digest.clone()))));
                (manifest, tagged)
            };
            let reference = tag.unwrap_or(&descriptor.digest);
            match self.client().push_manifest(name, reference, &image.manifest) {
                Err(Trouble::Refused(what)) if self.was_too_slow(began) && what.contains(BLOB_UNKNOWN) => {}
                pushed => {
                    pushed?;
                    break attempt;
                }
            }
        };
        let mut ledger = self.ledger();
        ledger.acknowledge_manifest(&key, manifest);
        if let Some((tag, attempt)) = tagged {
            ledger.acknowledge_tag(tag, attempt);
        }
        Ok(descriptor)
    }

    fn layer(&mut self) -> Vec<u8> {
        if self.dice.one_in(3) {
            let shared = Arc::clone(&self.shared);
            return shared.layers[self.dice.index(SHARED_LAYERS)].clone();
        }
        some_layer(&mut self.dice)
    }

    /// What was there when this client asked for it may be gone: a "yes" promises half a lease at least.
    fn was_too_slow(&self, began: Instant) -> bool {
        let collected = self.shared.collected.as_ref();
        collected.is_some_and(|collected| began.elapsed() >= collected.windows.lease / 2)
    }

    pub(super) fn push_blob(&mut self, name: &str, bytes: &[u8]) -> Result<(), Trouble> {
        let key: Key = (name.to_owned(), digest(bytes));
        let is_collected = self.shared.collected.is_some();
        if is_collected && self.dice_is_lazy() && self.client().has_blob(name, &key.1)? {
            return Ok(());
        }
        let source = self
            .names
            .iter()
            .find(|other| *other != name)
            .cloned()
            .unwrap_or_default();
        let mountable = {
            let mut ledger = self.ledger();
            if ledger.has_blob(&key) && self.dice_is_lazy() {
                return Ok(());
            }
            ledger.try_blob(&key);
            is_collected || ledger.has_blob(&(source.clone(), key.1.clone()))
        };
        if !(mountable && self.client().mount(name, &key.1, &source)?) {
            let way = match self.dice.below(4) {
                0 => Way::Single,
                1 => Way::PostPut,
                2 => Way::Stream,
                _ => Way::Chunks(1 + bytes.len() / 3),
            };
            self.client().push_blob(name, bytes, way)?;
        }
        self.promise_blob(&key);
        Ok(())
    }

    /// Where garbage is collected, a blob is promised for the time of its lease only, and then with its manifest.
    fn promise_blob(&self, key: &Key) {
        if self.shared.collected.is_none() {
            self.ledger().acknowledge_blob(key);
        }
    }

    /// Most clients skip what the registry has; some push it all the same.
    fn dice_is_lazy(&self) -> bool {
        !self.round.is_multiple_of(8)
    }

    fn leave_session(&mut self, name: &str) -> Result<(), Trouble> {
        let bytes = some_layer(&mut self.dice);
        let half = bytes.len() / 2;
        let session = self.client().start_upload(name)?;
        let session = self.client().append_chunks(&session, &bytes[..half], 0, half)?;
        self.client().forget_session();
        self.ledger().sessions.insert(session.clone());
        self.kept = Some(Kept {
            name: name.to_owned(),
            session,
            bytes,
        });
        Ok(())
    }

    /// A session survives a restart, or is gone as a whole; never does it claim bytes that were not sent.
    fn take_up_session(&mut self, kept: Kept) -> Result<(), Trouble> {
        let Kept { name, session, bytes } = kept;
        let key: Key = (name, digest(&bytes));
        let Some(size) = self.client().upload_size(&session)? else {
            self.ledger().sessions.remove(&session);
            return Ok(());
        };
        if size > bytes.len() / 2 {
            return Err(Trouble::Refused(format!(
                "{session} claims {size} bytes, {} were sent",
                bytes.len() / 2
            )));
        }
        self.ledger().try_blob(&key);
        let later = self.client().append_chunks(&session, &bytes, size, bytes.len())?;
        self.client().finish_upload(&later, &key.1, &[])?;
        self.promise_blob(&key);
        self.ledger().sessions.remove(&session);
        Ok(())
    }

    fn delete_tag(&mut self, name: &str, tag: &str) -> Result<(), Trouble> {
        let key: Key = (name.to_owned(), tag.to_owned());
        let attempt = {
            let mut ledger = self.ledger();
            let is_certain = |tag: &Tag| matches!(tag.certain(), Some(Some(_)));
            if !ledger.tags.get(&key).is_some_and(is_certain) {
                return Ok(());
            }
            ledger.try_tag(&key, None)
        };
        self.client().delete_manifest(name, tag)?;
        self.ledger().acknowledge_tag(&key, attempt);
        Ok(())
    }
}

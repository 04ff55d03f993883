//! Many clients pushing at once, who write down what they were promised.
//!
//! Shape: [`Load::start`] sets threads to work, each on repositories of its own and with layers that all of them share;
//! [`Load::hold`] stops them between two pushes, for as long as the guard lives, and lets the address change;
//! [`Load::end`] gives the ledger.
//! Fails: an answer that the specification does not allow is kept, and [`Load::end`] panics with it. A server that vanishes
//! is no failure: whoever kills it knows.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::{Client, Trouble, Way, digest};
use crate::dice::Dice;
use crate::image::{Descriptor, Image};
use crate::ledger::{Key, Ledger};

const SHARED_LAYERS: usize = 24;

struct Shared {
    address: RwLock<SocketAddr>,
    ledger: Mutex<Ledger>,
    refusals: Mutex<Vec<String>>,
    ending: AtomicBool,
    layers: Vec<Vec<u8>>,
}

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Sets this many clients to work.
    #[must_use]
    pub fn start(address: SocketAddr, clients: usize, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let layers = (0..SHARED_LAYERS).map(|_| some_layer(&mut dice)).collect();
        let shared = Arc::new(Shared {
            address: RwLock::new(address),
            ledger: Mutex::default(),
            refusals: Mutex::default(),
            ending: AtomicBool::new(false),
            layers,
        });
        let threads = (0..clients)
            .map(|number| {
                let worker = Worker {
                    shared: Arc::clone(&shared),
                    dice: Dice::new(dice.throw()),
                    names: ["a", "b/c"].map(|end| format!("load/{number}/{end}")),
                    client: None,
                    kept: None,
                    round: 0,
                };
                std::thread::spawn(move || worker.work())
            })
            .collect();
        Self { shared, threads }
    }

    /// The ledger as it stands.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared
            .ledger
            .lock()
            .expect("no client panics over the ledger")
    }

    /// Waits until no client is in the middle of a push, and keeps them out. The address may be changed through the guard.
    pub fn hold(&self) -> RwLockWriteGuard<'_, SocketAddr> {
        self.shared
            .address
            .write()
            .expect("no client panics over the address")
    }

    /// Sends the clients home and gives what they wrote down.
    #[must_use]
    pub fn end(self) -> Ledger {
        self.shared.ending.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
        let refusals = self.shared.refusals.lock().expect("the clients are gone");
        assert!(
            refusals.is_empty(),
            "{} pushes were refused:\n{}",
            refusals.len(),
            refusals.join("\n")
        );
        self.shared.ledger.lock().expect("the clients are gone").clone()
    }
}

fn some_layer(dice: &mut Dice) -> Vec<u8> {
    let (from, to) = match dice.below(20) {
        0..10 => (100, 16_000),
        10..16 => (16_000, 300_000),
        16..19 => (300_000, 1_500_000),
        _ => (1_500_000, 9_000_000),
    };
    let length = from + dice.index(to - from);
    dice.bytes(length)
}

/// A session left half-way, to be taken up again later.
struct Kept {
    name: String,
    session: String,
    bytes: Vec<u8>,
}

struct Worker {
    shared: Arc<Shared>,
    dice: Dice,
    names: [String; 2],
    client: Option<(SocketAddr, Client)>,
    kept: Option<Kept>,
    round: u32,
}

impl Worker {
    fn work(mut self) {
        while !self.shared.ending.load(Ordering::Relaxed) {
            let shared = Arc::clone(&self.shared);
            // Poisoned: the test has failed while it held the clients, and says why itself.
            let Ok(address) = shared.address.read() else {
                return;
            };
            let outcome = self.round(*address);
            drop(address);
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

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().expect("nobody panics over the ledger")
    }

    fn client(&mut self) -> &mut Client {
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
        for blob in &image.blobs {
            self.push_blob(name, blob)?;
        }
        let descriptor = image.descriptor();
        let key: Key = (name.to_owned(), descriptor.digest.clone());
        let tag_key: Option<Key> = tag.map(|tag| (name.to_owned(), tag.to_owned()));
        let attempt = {
            let mut ledger = self.ledger();
            let blobs = image.blobs.iter().map(|blob| digest(blob)).collect();
            ledger.try_manifest(&key, blobs, subject.map(|subject| subject.digest.clone()));
            tag_key
                .as_ref()
                .map(|tag| (tag, ledger.try_tag(tag, Some(descriptor.digest.clone()))))
        };
        self.client()
            .push_manifest(name, tag.unwrap_or(&descriptor.digest), &image.manifest)?;
        let mut ledger = self.ledger();
        ledger.acknowledge_manifest(&key);
        if let Some((tag, attempt)) = attempt {
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

    fn push_blob(&mut self, name: &str, bytes: &[u8]) -> Result<(), Trouble> {
        let key: Key = (name.to_owned(), digest(bytes));
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
            ledger.has_blob(&(source.clone(), key.1.clone()))
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
        self.ledger().acknowledge_blob(&key);
        Ok(())
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
        let mut ledger = self.ledger();
        ledger.acknowledge_blob(&key);
        ledger.sessions.remove(&session);
        Ok(())
    }

    fn delete_tag(&mut self, name: &str, tag: &str) -> Result<(), Trouble> {
        let key: Key = (name.to_owned(), tag.to_owned());
        let attempt = {
            let mut ledger = self.ledger();
            if ledger.tags.get(&key).is_none_or(|tag| tag.certain().is_none()) {
                return Ok(());
            }
            ledger.try_tag(&key, None)
        };
        self.client().delete_tag(name, tag)?;
        self.ledger().acknowledge_tag(&key, attempt);
        Ok(())
    }
}

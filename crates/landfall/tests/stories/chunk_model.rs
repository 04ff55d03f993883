//! However a client cuts a blob into chunks, and whatever it gets wrong on the way, the session counts what a simple model counts.
//!
//! Shape: the model is the list of bytes that were accepted. Each step is sent to the server and applied to the model; answer,
//! status and, in the end, the stored blob must agree. Source: distribution-spec "Pushing a blob in chunks".

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::harness::{Landfall, Response, digest_of, noise, sha512_of};

/// What a client does next with its session.
#[derive(Clone, Debug)]
enum Step {
    /// PATCH without Content-Range: append.
    Append { size: usize, chunked: bool },
    /// PATCH with the right Content-Range.
    InOrder { size: usize, chunked: bool },
    /// PATCH whose Content-Range starts this far off.
    OutOfOrder { off: i64, size: usize },
    /// PATCH whose Content-Length is not that of its Content-Range.
    WrongLength { size: usize, off: usize },
    /// PATCH to the Location of the step before the last.
    Stale { size: usize },
    /// PUT whose Content-Range starts this far off.
    FinishOutOfOrder { off: i64, size: usize },
    /// GET or HEAD of the session.
    Status { head: bool },
}

fn step() -> impl Strategy<Value = Step> {
    // Around the size that is kept in the catalog, a page, and the pieces that sockets deliver.
    let size = prop_oneof![
        1..40_usize,
        4090..4100_usize,
        16_380..16_390_usize,
        60_000..70_000_usize
    ];
    let off = prop_oneof![-70_000..0_i64, 1..70_000_i64];
    prop_oneof![
        4 => (size.clone(), any::<bool>()).prop_map(|(size, chunked)| Step::Append { size, chunked }),
        4 => (size.clone(), any::<bool>()).prop_map(|(size, chunked)| Step::InOrder { size, chunked }),
        2 => (off.clone(), size.clone()).prop_map(|(off, size)| Step::OutOfOrder { off, size }),
        1 => (size.clone(), 1..30_usize).prop_map(|(size, off)| Step::WrongLength { size, off }),
        1 => size.clone().prop_map(|size| Step::Stale { size }),
        1 => (off, size).prop_map(|(off, size)| Step::FinishOutOfOrder { off, size }),
        2 => any::<bool>().prop_map(|head| Step::Status { head }),
    ]
}

/// How the client finishes: the last bytes in the PUT, with or without Content-Range, and by which algorithm.
#[derive(Clone, Debug)]
struct Finish {
    size: usize,
    ranged: bool,
    sha512: bool,
}

/// The session as the client sees it, and the bytes that it must hold.
struct Session<'a> {
    landfall: &'a Landfall,
    location: String,
    stale: Option<String>,
    bytes: Vec<u8>,
}

impl Session<'_> {
    fn range(&self) -> String {
        format!("0-{}", self.bytes.len().saturating_sub(1))
    }

    fn expect_progress(&mut self, answer: Response, sent: &[u8]) {
        self.bytes.extend_from_slice(sent);
        let answer = answer.expect(202).with_header("Range", &self.range());
        self.stale = Some(std::mem::replace(&mut self.location, answer.location()));
    }

    fn expect_refused(&mut self, answer: Response, status: u16) {
        let answer = answer.expect(status);
        if status == 416 {
            self.location = answer.with_header("Range", &self.range()).location();
        }
    }

    fn content_range(&self, off: i64, size: usize) -> Option<String> {
        let first = i64::try_from(self.bytes.len())
            .unwrap()
            .checked_add(off)
            .filter(|first| *first >= 0)?;
        Some(format!("{first}-{}", first + i64::try_from(size).unwrap() - 1))
    }

    fn run(&mut self, step: &Step, fresh: &mut impl FnMut(usize) -> Vec<u8>) {
        match *step {
            Step::Append { size, chunked } => {
                let sent = fresh(size);
                let request = self.landfall.patch(&self.location);
                let request = if chunked {
                    request.chunked_body(pieces(&sent))
                } else {
                    request.body(sent.clone())
                };
                self.expect_progress(request.send(), &sent);
            }
            Step::InOrder { size, chunked } => {
                let sent = fresh(size);
                let range = self.content_range(0, size).unwrap();
                let request = self
                    .landfall
                    .patch(&self.location)
                    .header("Content-Range", &range);
                let request = if chunked {
                    request.chunked_body(pieces(&sent))
                } else {
                    request.body(sent.clone())
                };
                self.expect_progress(request.send(), &sent);
            }
            Step::OutOfOrder { off, size } => {
                if let Some(range) = self.content_range(off, size) {
                    let request = self
                        .landfall
                        .patch(&self.location)
                        .header("Content-Range", &range);
                    self.expect_refused(request.body(fresh(size)).send(), 416);
                }
            }
            Step::WrongLength { size, off } => {
                let range = self.content_range(0, size).unwrap();
                let request = self
                    .landfall
                    .patch(&self.location)
                    .header("Content-Range", &range);
                self.expect_refused(request.body(fresh(size + off)).send(), 400);
            }
            Step::Stale { size } => {
                if let Some(stale) = self.stale.clone() {
                    let answer = self.landfall.patch(&stale).body(fresh(size)).send();
                    self.expect_refused(answer, 416);
                }
            }
            Step::FinishOutOfOrder { off, size } => {
                if let Some(range) = self.content_range(off, size) {
                    let request = self
                        .landfall
                        .put(&self.location)
                        .query("digest", &digest_of("any"));
                    let answer = request.header("Content-Range", &range).body(fresh(size)).send();
                    self.expect_refused(answer, 416);
                }
            }
            Step::Status { head } => {
                let method = if head { "HEAD" } else { "GET" };
                let answer = self.landfall.request(method, &self.location).send().expect(204);
                self.location = answer.with_header("Range", &self.range()).location();
            }
        }
    }

    fn finish(mut self, how: &Finish, last: Vec<u8>) -> (String, Vec<u8>) {
        let range = self.content_range(0, how.size);
        self.bytes.extend_from_slice(&last);
        let digest = if how.sha512 {
            sha512_of(&self.bytes)
        } else {
            digest_of(&self.bytes)
        };
        let mut put = self.landfall.put(&self.location).query("digest", &digest);
        if how.ranged && how.size > 0 {
            put = put.header("Content-Range", &range.unwrap());
        }
        put.body(last)
            .send()
            .expect(201)
            .with_header("Docker-Content-Digest", &digest);
        self.landfall.get(&self.location).send().expect(404);
        (digest, self.bytes)
    }
}

fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.chunks(7_001).map(<[u8]>::to_vec).collect()
}

/// A whole life of a session, as drawn.
fn life() -> impl Strategy<Value = (Vec<Step>, Finish)> {
    let size = prop_oneof![Just(0_usize), 1..20_usize, 16_000..17_000_usize];
    let finish = (size, any::<bool>(), any::<bool>());
    let finish = finish.prop_map(|(size, ranged, sha512)| Finish { size, ranged, sha512 });
    (prop::collection::vec(step(), 0..12), finish)
}

#[test]
fn every_sequence_of_chunks_ends_in_the_bytes_that_were_accepted() {
    let landfall = Landfall::start();
    let draws = Cell::new(0);
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&life(), |(steps, finish)| {
        let mut fresh = |size: usize| {
            draws.set(draws.get() + 1);
            noise(&format!("draw {}", draws.get()), size)
        };
        let location = landfall.begin_upload("model/app");
        let mut session = Session {
            landfall: &landfall,
            location,
            stale: None,
            bytes: Vec::new(),
        };
        for step in &steps {
            session.run(step, &mut fresh);
        }
        let (digest, bytes) = session.finish(&finish, fresh(finish.size));
        let stored = landfall.get_blob("model/app", &digest).expect(200);
        prop_assert!(
            stored.body == bytes,
            "{digest} has other bytes than were accepted"
        );
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    landfall.log().expect_clean();
}

//! Many clients do the same thing at the same moment, and each of them gets an answer that is true.
//!
//! Source: distribution-spec (201 means stored); no answer may depend on who else is asking.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::{Image, Landfall, Response, digest_of, noise, wait_until};

const REPO: &str = "team/app";

/// Runs `work` on so many threads at once and collects what they answer.
fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let gate = std::sync::Barrier::new(count);
    thread::scope(|scope| {
        let start = |n| {
            let (gate, work) = (&gate, &work);
            scope.spawn(move || {
                gate.wait();
                work(n)
            })
        };
        let threads: Vec<_> = (0..count).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn the_same_blob_from_two_sides_is_stored_once() {
    let landfall = Landfall::start();
    let bytes = noise("both", 500_000);
    let digest = digest_of(&bytes);
    at_once(2, |n| landfall.push_blob(&format!("side/{n}"), &bytes));
    landfall.expect_blob("side/0", &bytes);
    landfall.expect_blob("side/1", &bytes);
    wait_until("one copy is on disk", || landfall.blob_files(&digest).len() == 1);
}

#[test]
fn many_sessions_finishing_the_same_digest_all_succeed() {
    let landfall = Landfall::start();
    for size in [300, 300_000] {
        let bytes = noise("same digest", size);
        let locations: Vec<String> = (0..8).map(|_| landfall.begin_upload_with(REPO, &bytes)).collect();
        let statuses = at_once(8, |n| {
            landfall
                .put(&locations[n])
                .query("digest", &digest_of(&bytes))
                .send()
                .status
        });
        assert_eq!(statuses, [201; 8]);
        landfall.expect_blob(REPO, &bytes);
    }
    assert!(landfall.upload_files().is_empty());
}

#[test]
fn parallel_patches_never_interleave() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload(REPO);
    let bare = location.split('?').next().unwrap();
    let piece = |n: usize| noise(&format!("piece {n}"), 60_000 + n * 1000);
    let answers = at_once(20, |n| {
        landfall
            .patch(bare)
            .chunked_body(piece(n).chunks(5_000).map(<[u8]>::to_vec))
            .send()
    });
    let mut accepted: Vec<(usize, usize)> = answers
        .iter()
        .enumerate()
        .filter_map(|(n, answer)| Some((end_of(answer)?, n)))
        .collect();
    accepted.sort_unstable();
    assert!(!accepted.is_empty());
    let mut whole = Vec::new();
    for (end, n) in accepted {
        whole.extend_from_slice(&piece(n));
        assert_eq!(
            whole.len(),
            end,
            "each accepted piece lies behind the ones before"
        );
    }
    let status = landfall
        .get(bare)
        .send()
        .expect(204)
        .with_header("Range", &format!("0-{}", whole.len() - 1));
    landfall
        .put(&status.location())
        .query("digest", &digest_of(&whole))
        .send()
        .expect(201);
    landfall.expect_blob(REPO, &whole);
}

/// Where an accepted PATCH ends; `None` when it was refused, as it may be when another one is writing.
fn end_of(answer: &Response) -> Option<usize> {
    if answer.status == 416 {
        return None;
    }
    let range = answer.clone().expect(202).expect_header("Range").to_owned();
    Some(range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1)
}

#[test]
fn of_parallel_patches_for_the_same_place_one_is_taken() {
    let landfall = Landfall::start();
    let location = landfall.begin_upload(REPO);
    let piece = |n: usize| noise(&format!("claim {n}"), 50_000);
    let statuses = at_once(20, |n| {
        landfall
            .patch(&location)
            .header("Content-Range", "0-49999")
            .body(piece(n))
            .send()
            .status
    });
    let winners: Vec<usize> = (0..20).filter(|&n| statuses[n] == 202).collect();
    assert_eq!(winners.len(), 1, "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [202, 416].contains(status)),
        "{statuses:?}"
    );
    let bare = location.split('?').next().unwrap();
    landfall
        .put(bare)
        .query("digest", &digest_of(piece(winners[0])))
        .send()
        .expect(201);
}

#[test]
fn of_parallel_finishes_of_one_session_one_is_created() {
    let landfall = Landfall::start();
    let bytes = noise("finish once", 200_000);
    let location = landfall.begin_upload_with(REPO, &bytes);
    let statuses = at_once(8, |_| {
        landfall
            .put(&location)
            .query("digest", &digest_of(&bytes))
            .send()
            .status
    });
    assert!(statuses.contains(&201), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [201, 404, 416].contains(status)),
        "{statuses:?}"
    );
    landfall.expect_blob(REPO, &bytes);
}

#[test]
fn cancelling_while_writing_leaves_nothing() {
    let landfall = Landfall::start();
    for round in 0..10 {
        let location = landfall.begin_upload(REPO);
        let statuses = at_once(2, |n| match n {
            0 => {
                landfall
                    .patch(&location)
                    .body(noise(&format!("cancel {round}"), 300_000))
                    .send()
                    .status
            }
            _ => landfall.delete(&location).send().status,
        });
        assert!([202, 404, 416].contains(&statuses[0]), "{statuses:?}");
        let bare = location.split('?').next().unwrap();
        if landfall.get(bare).send().status != 404 {
            landfall.delete(bare).send().expect(204);
        }
        landfall.get(bare).send().expect(404);
    }
    wait_until("no file is left", || landfall.upload_files().is_empty());
}

#[test]
fn a_tag_that_moves_is_never_missing_and_always_whole() {
    let landfall = Landfall::start();
    let images: Vec<Image> = (0..4).map(|n| Image::new(&format!("moving {n}"))).collect();
    for image in &images {
        landfall.push(REPO, "latest", image);
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pull = || {
            let mut connection = landfall.connect();
            let mut pulls = 0;
            while !done.load(Ordering::Relaxed) || pulls < 5 {
                let target = format!("/v2/{REPO}/manifests/latest");
                let answer = landfall.get(&target).send_on(&mut connection).expect(200);
                assert_eq!(
                    answer.header("Docker-Content-Digest"),
                    Some(&*digest_of(&answer.body))
                );
                landfall.head(&target).send_on(&mut connection).expect(200);
                pulls += 1;
            }
        };
        for _ in 0..50 {
            scope.spawn(pull);
        }
        for round in 0..40 {
            landfall
                .put_manifest(REPO, "latest", &images[round % 4].manifest())
                .expect(201);
        }
        done.store(true, Ordering::Relaxed);
    });
    landfall.expect_image(REPO, "latest", &images[39 % 4]);
}

#[test]
fn two_pushes_to_one_tag_leave_one_of_them_and_both_digests() {
    let landfall = Landfall::start();
    for round in 0..10 {
        let images = [
            Image::new(&format!("left {round}")),
            Image::new(&format!("right {round}")),
        ];
        at_once(2, |n| landfall.push(REPO, "latest", &images[n]));
        let tagged = landfall.get_manifest(REPO, "latest").expect(200).body;
        assert!(images.iter().any(|image| image.manifest().bytes == tagged));
        for image in &images {
            landfall.expect_image(REPO, &image.manifest().digest(), image);
        }
    }
}

#[test]
fn whole_images_pushed_together_are_all_whole() {
    let landfall = Landfall::start();
    let shared = noise("shared base", 300_000);
    let image = |n: usize, m: usize| Image::new(&format!("image {n} {m}")).layer(shared.clone());
    at_once(8, |n| {
        for m in 0..5 {
            let image = image(n, m);
            landfall.push(&format!("team/{}", n % 3), &format!("t{n}-{m}"), &image);
        }
    });
    for n in 0..8 {
        for m in 0..5 {
            landfall.expect_image(&format!("team/{}", n % 3), &format!("t{n}-{m}"), &image(n, m));
        }
    }
    wait_until("one copy of the shared layer is on disk", || {
        landfall.blob_files(&digest_of(&shared)).len() == 1
    });
    landfall.log().expect_clean();
}

#[test]
fn pushing_and_deleting_the_same_blob_ends_in_one_of_the_two() {
    let landfall = Landfall::start();
    let bytes = noise("tug of war", 100_000);
    let digest = digest_of(&bytes);
    for _ in 0..10 {
        at_once(4, |n| {
            if n % 2 == 0 {
                landfall.push_blob(REPO, &bytes);
            } else {
                let status = landfall.delete_blob(REPO, &digest).status;
                assert!([202, 404].contains(&status), "{status}");
            }
        });
        let answer = landfall.get_blob(REPO, &digest);
        assert!(
            answer.status == 404 || (answer.status == 200 && answer.body == bytes),
            "{}",
            answer.status
        );
    }
    landfall.push_blob(REPO, &bytes);
    landfall.expect_blob(REPO, &bytes);
}

//! A client pulls a blob, whole or in parts, in parallel or again, and gets exactly the bytes that it asked for.
//!
//! Source: distribution-spec "Pulling blobs"; RFC 9110 sections 13 (conditions) and 14 (ranges).

use std::fmt::Write as _;

use crate::harness::{Landfall, Response, digest_of, noise};

const REPO: &str = "team/app";
const ABSENT: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A blob that lies in the catalog, and one that is a file.
const SIZES: [usize; 2] = [2048, 200_000];

fn blob(landfall: &Landfall, size: usize) -> (Vec<u8>, String) {
    let bytes = noise("pull", size);
    let target = format!("/v2/{REPO}/blobs/{}", landfall.push_blob(REPO, &bytes));
    (bytes, target)
}

fn ranged(landfall: &Landfall, target: &str, range: &str) -> Response {
    landfall.get(target).header("Range", range).send()
}

#[test]
fn whole_blob_comes_with_all_its_headers() {
    let landfall = Landfall::start();
    for size in SIZES {
        let (bytes, target) = blob(&landfall, size);
        let digest = digest_of(&bytes);
        for method in ["GET", "HEAD"] {
            let answer = landfall.request(method, &target).send().expect(200);
            let answer = answer.with_header("Content-Length", &size.to_string());
            let answer = answer.with_header("Content-Type", "application/octet-stream");
            let answer = answer.with_header("Docker-Content-Digest", &digest);
            let answer = answer.with_header("ETag", &format!("\"{digest}\""));
            let answer = answer.with_header("Cache-Control", "max-age=31536000");
            let answer = answer.with_header("Accept-Ranges", "bytes");
            assert!(method == "HEAD" || answer.body == bytes);
        }
    }
}

#[test]
fn a_blob_of_another_repository_is_unknown_here() {
    let landfall = Landfall::start();
    let digest = landfall.push_blob("a", b"of a");
    landfall.push_blob("b", b"of b");
    landfall.get_blob("b", &digest).expect_error(404, "BLOB_UNKNOWN");
    landfall.head_blob("b", &digest).expect(404);
    landfall
        .get_blob("never/seen", &digest)
        .expect_error(404, "BLOB_UNKNOWN");
    landfall.get_blob("a", ABSENT).expect_error(404, "BLOB_UNKNOWN");
}

#[test]
fn a_manifest_is_no_blob() {
    let landfall = Landfall::start();
    let manifest = landfall.push("a", "latest", &crate::harness::Image::new("no blob"));
    landfall
        .get_blob("a", &manifest.digest())
        .expect_error(404, "BLOB_UNKNOWN");
}

#[test]
fn single_ranges_are_cut_exactly() {
    let landfall = Landfall::start();
    for size in SIZES {
        let (bytes, target) = blob(&landfall, size);
        let last = size - 1;
        let cases = [
            ("bytes=0-0".to_owned(), 0, 0),
            ("bytes=500-1499".to_owned(), 500, 1499),
            ("bytes=500-".to_owned(), 500, last),
            ("bytes=-500".to_owned(), size - 500, last),
            ("bytes=-1".to_owned(), last, last),
            (format!("bytes=2000-{}", size + 5000), 2000, last),
            (format!("bytes=-{}", size + 1), 0, last),
            (format!("bytes={last}-"), last, last),
            ("bytes=0-".to_owned(), 0, last),
            ("bytes=0-18446744073709551615".to_owned(), 0, last),
        ];
        for (range, first, last) in cases {
            let answer = ranged(&landfall, &target, &range).expect(206);
            let answer = answer.with_header("Content-Range", &format!("bytes {first}-{last}/{size}"));
            let answer = answer.with_header("Content-Length", &(last - first + 1).to_string());
            let answer = answer.with_header("Docker-Content-Digest", &digest_of(&bytes));
            assert!(answer.body == bytes[first..=last], "{range} of {size}");
        }
    }
}

#[test]
fn ranges_past_the_end_are_416_with_the_size() {
    let landfall = Landfall::start();
    for size in SIZES {
        let (_, target) = blob(&landfall, size);
        for range in [
            format!("bytes={size}-"),
            format!("bytes={}-{}", size * 2, size * 4),
            "bytes=500-0".to_owned(),
            "bytes=-0".to_owned(),
        ] {
            let answer = ranged(&landfall, &target, &range).expect(416);
            answer.with_header("Content-Range", &format!("bytes */{size}"));
        }
        let answer = ranged(&landfall, &target, "bytes=300000-300009,400000-").expect(416);
        answer.with_header("Content-Range", &format!("bytes */{size}"));
    }
}

#[test]
fn ranges_that_are_none_are_ignored() {
    let landfall = Landfall::start();
    let (bytes, target) = blob(&landfall, 2048);
    for range in [
        "items=0-1",
        "bytes=abc",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=1-2-3",
        "bytes=a-b,0-1",
        "0-9",
        "bytes=0x1-5",
        "bytes=+1-5",
    ] {
        let answer = ranged(&landfall, &target, range).expect(200);
        assert!(answer.without_header("Content-Range").body == bytes, "{range}");
    }
}

#[test]
fn a_range_of_nothing_is_nothing() {
    let landfall = Landfall::start();
    let target = format!("/v2/{REPO}/blobs/{}", landfall.push_blob(REPO, b""));
    for range in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-9"] {
        ranged(&landfall, &target, range)
            .expect(200)
            .with_header("Content-Length", "0");
    }
}

#[test]
fn head_ignores_range() {
    let landfall = Landfall::start();
    let (_, target) = blob(&landfall, 2048);
    let head = landfall
        .head(&target)
        .header("Range", "bytes=0-9")
        .send()
        .expect(200);
    head.with_header("Content-Length", "2048")
        .without_header("Content-Range");
    landfall
        .head(&target)
        .header("Range", "bytes=5000-")
        .send()
        .expect(200)
        .with_header("Content-Length", "2048");
}

/// The parts of a `multipart/byteranges` body: Content-Range and bytes of each.
fn parts(answer: &Response) -> Vec<(String, Vec<u8>)> {
    let kind = answer.expect_header("Content-Type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap_or_else(|| panic!("{answer}"))
        .trim_matches('"');
    let delimiter = format!("\r\n--{boundary}");
    let body = [b"\r\n", &*answer.body].concat();
    let mut parts = Vec::new();
    let mut rest = find(&body, delimiter.as_bytes())
        .map(|at| &body[at + delimiter.len()..])
        .expect("a first delimiter");
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let head_end = find(part, b"\r\n\r\n").expect("an empty line after the part's headers");
        let head = String::from_utf8(part[..head_end].to_vec())
            .unwrap()
            .to_lowercase();
        let field = |name: &str| {
            head.lines()
                .find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
        };
        assert_eq!(
            field("content-type:").as_deref(),
            Some("application/octet-stream"),
            "{head}"
        );
        let content = &part[head_end + 4..];
        let end = find(content, delimiter.as_bytes()).expect("a delimiter after each part");
        parts.push((
            field("content-range:").expect("Content-Range of a part"),
            content[..end].to_vec(),
        ));
        rest = &content[end + delimiter.len()..];
    }
    assert!(rest.starts_with(b"--"), "the last delimiter");
    parts
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[test]
fn several_ranges_come_as_asked_one_part_each_never_merged() {
    let landfall = Landfall::start();
    for size in SIZES {
        let (bytes, target) = blob(&landfall, size);
        let answer = ranged(&landfall, &target, "bytes=0-9,20-29,5-6")
            .expect(206)
            .without_header("Content-Range");
        let expected: Vec<(String, Vec<u8>)> = [(0, 9), (20, 29), (5, 6)]
            .iter()
            .map(|&(first, last)| {
                (
                    format!("bytes {first}-{last}/{size}"),
                    bytes[first..=last].to_vec(),
                )
            })
            .collect();
        assert_eq!(parts(&answer), expected);
        let spaced = ranged(&landfall, &target, "bytes=0-9, 20-29 ,5-6").expect(206);
        assert_eq!(parts(&spaced), expected);
    }
}

#[test]
fn suffixes_open_ends_and_unsatisfiable_ones_may_be_among_several() {
    let landfall = Landfall::start();
    let (bytes, target) = blob(&landfall, 2048);
    let answer = ranged(&landfall, &target, "bytes=2040-,-3,0-0").expect(206);
    let expected = vec![
        ("bytes 2040-2047/2048".to_owned(), bytes[2040..].to_vec()),
        ("bytes 2045-2047/2048".to_owned(), bytes[2045..].to_vec()),
        ("bytes 0-0/2048".to_owned(), bytes[..1].to_vec()),
    ];
    assert_eq!(parts(&answer), expected);
    let answer = ranged(&landfall, &target, "bytes=5000-6000,10-19").expect(206);
    assert_eq!(
        parts(&answer),
        vec![("bytes 10-19/2048".to_owned(), bytes[10..20].to_vec())]
    );
}

#[test]
fn more_ranges_than_blob_are_the_whole_blob() {
    let landfall = Landfall::start();
    let (bytes, target) = blob(&landfall, 2048);
    assert!(
        ranged(&landfall, &target, "bytes=0-2047,0-0").expect(200).body == bytes,
        "more bytes than there are"
    );
    let (bytes, target) = blob(&landfall, 200_000);
    let many = |count: usize| {
        (0..count).fold("bytes=".to_owned(), |mut list, n| {
            let separator = if n == 0 { "" } else { "," };
            write!(list, "{separator}{}-{}", n * 3, n * 3 + 1).unwrap();
            list
        })
    };
    let answer = ranged(&landfall, &target, &many(1024)).expect(206);
    let all = parts(&answer);
    assert_eq!(all.len(), 1024);
    assert!(
        all.iter()
            .enumerate()
            .all(|(n, (_, part))| part == &bytes[n * 3..n * 3 + 2])
    );
    assert!(
        ranged(&landfall, &target, &many(1025)).expect(200).body == bytes,
        "more than 1024 ranges"
    );
}

#[test]
fn conditions_save_the_transfer() {
    let landfall = Landfall::start();
    let (bytes, target) = blob(&landfall, 2048);
    let digest = digest_of(&bytes);
    let quoted = format!("\"{digest}\"");
    for etag in [
        &quoted,
        &format!("\"x\", {quoted}"),
        &format!("W/{quoted}"),
        &"*".to_owned(),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = landfall
                .request(method, &target)
                .header("If-None-Match", etag)
                .send()
                .expect(304);
            assert!(answer.body.is_empty());
            assert_eq!(answer.header("ETag"), Some(&*quoted), "{answer}");
        }
    }
    let answer = landfall
        .get(&target)
        .header("If-None-Match", "\"sha256:other\"")
        .send();
    assert!(answer.expect(200).body == bytes);
}

#[test]
fn a_resumed_download_is_checked_against_the_etag() {
    let landfall = Landfall::start();
    let (bytes, target) = blob(&landfall, 2048);
    let resume = |etag: &str| {
        landfall
            .get(&target)
            .header("Range", "bytes=2000-")
            .header("If-Range", etag)
            .send()
    };
    assert!(resume(&format!("\"{}\"", digest_of(&bytes))).expect(206).body == bytes[2000..]);
    assert!(resume("\"sha256:other\"").expect(200).body == bytes);
}

#[test]
fn parallel_open_ended_ranges_whose_clients_hang_up_are_no_errors() {
    let landfall = Landfall::start();
    let size = 8_000_000;
    let (bytes, target) = blob(&landfall, size);
    let step = size / 8;
    std::thread::scope(|scope| {
        for first in (0..size).step_by(step) {
            let (landfall, bytes, target) = (&landfall, &bytes, &target);
            scope.spawn(move || {
                let mut connection = landfall.connect();
                connection.send(format!(
                    "GET {target} HTTP/1.1\r\nHost: x\r\nRange: bytes={first}-\r\n\r\n"
                ));
                assert_eq!(connection.answer_head_only().status, 206);
                assert!(connection.read_bytes(step) == bytes[first..first + step]);
            });
        }
    });
    for _ in 0..20 {
        let mut connection = landfall.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(connection.answer_head_only().status, 200);
        assert!(connection.read_bytes(65_536) == bytes[..65_536]);
    }
    landfall.get("/v2/").send().expect(200);
    crate::harness::wait_until("the blob is open once at most, for the next reader", || {
        open_blob_files(&landfall) <= 1
    });
    landfall.log().expect_clean();
}

/// How many files of blobs the server holds open.
fn open_blob_files(landfall: &Landfall) -> usize {
    let blobs = landfall.how().data_dir().join("landfall/blobs");
    let open = std::fs::read_dir(format!("/proc/{}/fd", landfall.pid()))
        .unwrap()
        .flatten();
    open.filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter(|file| file.starts_with(&blobs) && file.is_file())
        .count()
}

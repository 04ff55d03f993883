//! A client pulls a large blob, whose bytes the kernel sends: slowly, in a row with other answers, in several parts, or
//! from a disk that lost some.
//!
//! Source: distribution-spec "Pulling blobs"; RFC 9110 section 14; RFC 9112 section 9.3.2 (pipelining).

use crate::harness::{Landfall, noise};

const REPO: &str = "team/app";
const SIZE: usize = 6_000_000;

fn large(landfall: &Landfall) -> (Vec<u8>, String, String) {
    let bytes = noise("large", SIZE);
    let digest = landfall.push_blob(REPO, &bytes);
    let target = format!("/v2/{REPO}/blobs/{digest}");
    (bytes, digest, target)
}

#[test]
fn readers_who_take_little_at_a_time_get_every_byte() {
    let landfall = Landfall::start();
    let (bytes, _, target) = large(&landfall);
    std::thread::scope(|scope| {
        for step in [SIZE / 3, 70_000, 4_001] {
            let (landfall, bytes, target) = (&landfall, &bytes, &target);
            scope.spawn(move || {
                let mut connection = landfall.connect();
                connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
                assert_eq!(connection.answer_head_only().status, 200);
                for expected in bytes.chunks(step) {
                    assert!(connection.read_bytes(expected.len()) == expected);
                }
            });
        }
    });
    landfall.log().expect_clean();
}

#[test]
fn answers_in_a_row_on_one_connection_stay_apart() {
    let landfall = Landfall::start();
    let (bytes, _, target) = large(&landfall);
    let range = |first: usize, last: usize| {
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nRange: bytes={first}-{last}\r\n\r\n")
    };
    let mut connection = landfall.connect();
    connection.send(format!(
        "{}GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n{}GET {target} HTTP/1.1\r\nHost: x\r\n\r\n{}",
        range(1, 2_000_000),
        range(7, 100),
        range(5_000_000, SIZE - 1),
    ));
    assert!(connection.answer().expect(206).body == bytes[1..=2_000_000]);
    assert_eq!(connection.answer().expect(200).body, b"{}");
    assert!(connection.answer().expect(206).body == bytes[7..=100]);
    assert!(connection.answer().expect(200).body == bytes);
    assert!(connection.answer().expect(206).body == bytes[5_000_000..]);
    landfall.log().expect_clean();
}

#[test]
fn several_large_parts_come_whole_and_in_order() {
    let landfall = Landfall::start();
    let (bytes, _, target) = large(&landfall);
    let spans = [(3_000_000, 4_999_999), (0, 99), (100, 1_500_000)];
    let ranges = spans.map(|(first, last)| format!("{first}-{last}")).join(",");
    let answer = landfall
        .get(&target)
        .header("Range", &format!("bytes={ranges}"))
        .send()
        .expect(206);
    let boundary = answer
        .expect_header("Content-Type")
        .split_once("boundary=")
        .unwrap()
        .1
        .to_owned();
    let mut expected = Vec::new();
    for (first, last) in spans {
        expected.extend_from_slice(
            format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/{SIZE}\r\n\r\n"
            )
            .as_bytes(),
        );
        expected.extend_from_slice(&bytes[first..=last]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(answer.body == expected);
}

#[test]
fn a_file_that_lost_bytes_cuts_the_answer_and_says_so() {
    let landfall = Landfall::start();
    let (bytes, digest, target) = large(&landfall);
    assert!(landfall.get(&target).send().expect(200).body == bytes);
    let files = landfall.blob_files(&digest);
    let [file] = &*files else {
        panic!("one file, not {files:?}")
    };
    std::fs::OpenOptions::new()
        .write(true)
        .open(file)
        .unwrap()
        .set_len(2_500_000)
        .unwrap();
    let mut connection = landfall.connect();
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
    // The length was promised before the first byte was sent.
    assert_eq!(
        connection.answer_head_only().expect_header("Content-Length"),
        SIZE.to_string()
    );
    let came = connection.expect_closed();
    assert!(
        came.len() <= 2_500_000 && came == bytes[..came.len()],
        "{} bytes",
        came.len()
    );
    landfall
        .log()
        .expect_line(&["level=error", "the response is cut"]);
}

//! TSIG against known answers and against itself: what one side signs the other accepts, and nothing that was changed.
//!
//! The known answers were computed with Python's `hmac` over bytes laid out by hand as RFC 8945 section 4.3 says; the journey
//! `acme` proves the same against a real name server.

use proptest::prelude::*;

use super::super::message::{Change, Update};
use super::*;

const NOW: u64 = 1_700_000_000;

fn key(algorithm: Algorithm) -> Key {
    Key::new(
        WireName::parse("Landfall.").unwrap(),
        algorithm,
        b"0123456789abcdef0123456789abcdef",
    )
}

fn update() -> Vec<u8> {
    Update {
        id: 0x1234,
        zone: &WireName::parse("example.com").unwrap(),
        name: &WireName::parse("_acme-challenge.example.com").unwrap(),
        value: "v",
        change: Change::Add,
    }
    .encode()
}

/// What a server answers: the header of the request with this code, signed over the request's own signature.
fn answer(key: &Key, request_mac: &[u8], code: u16, time: u64) -> Vec<u8> {
    let mut plain = Vec::new();
    for number in [0x1234, 0xa800 | code, 0, 0, 0, 0] {
        plain.extend(u16::to_be_bytes(number));
    }
    let covered = [
        &length(request_mac),
        request_mac,
        &plain,
        &key.variables(time, FUDGE, 0, &[]),
    ]
    .concat();
    let mac = hmac::sign(&key.secret, &covered);
    with_tsig(key, plain, mac.as_ref(), 0, time)
}

fn with_tsig(key: &Key, mut message: Vec<u8>, mac: &[u8], error: u16, time: u64) -> Vec<u8> {
    set_additional(&mut message, 1);
    let mut data = key.algorithm.wire().to_vec();
    data.extend(time_bytes(time));
    data.extend(FUDGE.to_be_bytes());
    data.extend(length(mac));
    data.extend(mac);
    data.extend(0x1234_u16.to_be_bytes());
    data.extend(error.to_be_bytes());
    data.extend([0; 2]);
    message.extend(key.name.bytes());
    message.extend(TYPE_TSIG.to_be_bytes());
    message.extend(CLASS_ANY.to_be_bytes());
    message.extend([0; 4]);
    message.extend(length(&data));
    message.extend(data);
    message
}

fn why(judgement: Judgement) -> String {
    match judgement {
        Judgement::Done => "done".into(),
        Judgement::Refused { why, .. } => why,
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.concat()
}

#[test]
fn signatures_are_those_of_another_implementation() {
    let (signed, mac) = key(Algorithm::HmacSha256).sign(&update(), NOW);
    assert_eq!(
        hex(&mac),
        "e0c4334b1122e61a5828a82e5ef6d0dbad7b765ca8c8abc45887f32c1398e3d3"
    );
    assert_eq!(
        signed.len(),
        update().len() + 10 + 10 + 13 + 6 + 2 + 2 + 32 + 2 + 2 + 2
    );
    let (_, mac) = key(Algorithm::HmacSha512).sign(&update(), NOW);
    assert_eq!(
        hex(&mac),
        concat!(
            "e3a4e477caa84ebc91106991f587212992d6f26b83e77a8bd21abae6a44ef8ef",
            "b004813d564efacf8951fcd78b54a0ae3eb947237889271d3aada89e3e8028ee"
        )
    );
}

#[test]
fn only_a_signed_answer_to_this_very_question_is_a_success() {
    let key = key(Algorithm::HmacSha256);
    let (_, mac) = key.sign(&update(), NOW);
    assert_eq!(key.judge(&answer(&key, &mac, 0, NOW), &mac, NOW), Judgement::Done);
    let says = |answer: &[u8], now: u64| why(key.judge(answer, &mac, now));
    assert!(says(&answer(&key, &mac, 5, NOW), NOW).contains("REFUSED"));
    assert!(says(&answer(&key, b"another question", 0, NOW), NOW).contains("signature"));
    assert!(says(&answer(&key, &mac, 0, NOW), NOW + 301).contains("signature"));
    let mut unsigned = answer(&key, &mac, 0, NOW);
    unsigned.truncate(HEADER);
    set_additional(&mut unsigned, 0);
    assert!(says(&unsigned, NOW).contains("not signed"));
    assert!(says(b"\x12", NOW).contains("no message"));
}

#[test]
fn each_way_in_which_keys_and_clocks_differ_has_its_sentence() {
    let key = key(Algorithm::HmacSha512);
    let (_, mac) = key.sign(&update(), NOW);
    let header = b"\x12\x34\xa8\x09\0\0\0\0\0\0\0\0".to_vec();
    for (error, sentence) in [
        (16, "another secret"),
        (17, "does not know the key"),
        (18, "clock"),
    ] {
        let answer = with_tsig(&key, header.clone(), b"", error, NOW);
        let said = why(key.judge(&answer, &mac, NOW));
        assert!(said.contains(sentence), "{said}");
    }
}

proptest! {
    #[test]
    fn no_changed_answer_is_a_success(at in 0_usize..200, bit in 0_u32..8) {
        let key = key(Algorithm::HmacSha256);
        let (_, mac) = key.sign(&update(), NOW);
        let good = answer(&key, &mac, 0, NOW);
        let mut bad = good.clone();
        let at = at % good.len();
        bad[at] ^= 1 << bit;
        // The owner, class and TTL of the signature are known to both sides; what stands there is not read.
        let owner = HEADER..HEADER + key.name.bytes().len();
        let unread = owner.end + 2..owner.end + 8;
        // The same goes for the algorithm, and for the number of the message, whose original is in the signature.
        let algorithm = owner.end + 10..owner.end + 10 + key.algorithm.wire().len();
        prop_assume!(!owner.contains(&at) && !unread.contains(&at) && !algorithm.contains(&at) && at >= 2);
        prop_assert_ne!(key.judge(&bad, &mac, NOW), Judgement::Done);
    }

    #[test]
    fn whatever_a_server_sends_is_judged(bytes: Vec<u8>) {
        let key = key(Algorithm::HmacSha256);
        prop_assert_ne!(key.judge(&bytes, b"mac", NOW), Judgement::Done);
    }
}

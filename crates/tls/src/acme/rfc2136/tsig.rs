//! TSIG: a message of DNS is signed with a key that both sides know, and so is its answer.
//!
//! Shape: `sign` gives the message with its signature, `judge` says what an answer means. An unsigned answer proves nothing, so
//! it is never a success.
//! Units: seconds since 1970, 48 bits. Source: RFC 8945 sections 4.2, 4.3 and 5.

use std::fmt;

use aws_lc_rs::hmac;

use super::message::{HEADER, WireName, after_name, last_record, number, rcode};

const TYPE_TSIG: u16 = 250;
const CLASS_ANY: u16 = 255;
/// How far both clocks may be apart.
const FUDGE: u16 = 300;
const BAD_SIGNATURE: u16 = 16;
const BAD_KEY: u16 = 17;
const BAD_TIME: u16 = 18;

/// How messages are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha256`
    HmacSha256,
    /// `hmac-sha512`
    HmacSha512,
}

impl Algorithm {
    fn wire(self) -> &'static [u8] {
        match self {
            Self::HmacSha256 => b"\x0bhmac-sha256\x00",
            Self::HmacSha512 => b"\x0bhmac-sha512\x00",
        }
    }
}

/// A key and the name by which the server knows it.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) name: WireName,
    algorithm: Algorithm,
    secret: hmac::Key,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {:?})", self.name, self.algorithm)
    }
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Done,
    Refused { why: String, fix: String },
}

/// The data of a TSIG record.
#[derive(Debug)]
struct Signature<'a> {
    time: u64,
    fudge: u16,
    mac: &'a [u8],
    original_id: u16,
    error: u16,
    other: &'a [u8],
}

impl Key {
    pub(super) fn new(name: WireName, algorithm: Algorithm, secret: &[u8]) -> Self {
        let hash = match algorithm {
            Algorithm::HmacSha256 => hmac::HMAC_SHA256,
            Algorithm::HmacSha512 => hmac::HMAC_SHA512,
        };
        Self {
            name,
            algorithm,
            secret: hmac::Key::new(hash, secret),
        }
    }

    /// The message with its signature, and the signature alone: the answer is signed over it.
    pub(super) fn sign(&self, plain: &[u8], now: u64) -> (Vec<u8>, Vec<u8>) {
        let id = number(plain, 0).unwrap_or_default();
        let mac = hmac::sign(
            &self.secret,
            &[plain, &self.variables(now, FUDGE, 0, &[])].concat(),
        );
        let mac = mac.as_ref().to_vec();
        let mut data = self.algorithm.wire().to_vec();
        data.extend(time_bytes(now));
        data.extend(FUDGE.to_be_bytes());
        data.extend(length(&mac));
        data.extend(&mac);
        data.extend(id.to_be_bytes());
        data.extend([0; 4]); // no error, nothing else
        let mut signed = plain.to_vec();
        set_additional(&mut signed, 1);
        signed.extend(self.name.bytes());
        signed.extend(TYPE_TSIG.to_be_bytes());
        signed.extend(CLASS_ANY.to_be_bytes());
        signed.extend([0; 4]); // TTL
        signed.extend(length(&data));
        signed.extend(data);
        (signed, mac)
    }

    /// What is signed beside the message. Source: RFC 8945 section 4.3.3.
    fn variables(&self, time: u64, fudge: u16, error: u16, other: &[u8]) -> Vec<u8> {
        let mut out = self.name.bytes().to_vec();
        out.extend(CLASS_ANY.to_be_bytes());
        out.extend([0; 4]); // TTL
        out.extend(self.algorithm.wire());
        out.extend(time_bytes(time));
        out.extend(fudge.to_be_bytes());
        out.extend(error.to_be_bytes());
        out.extend(length(other));
        out.extend(other);
        out
    }

    pub(super) fn judge(&self, answer: &[u8], request_mac: &[u8], now: u64) -> Judgement {
        let refused = |why: &str, fix: &str| Judgement::Refused {
            why: why.to_owned(),
            fix: fix.to_owned(),
        };
        let Some(code) = rcode(answer) else {
            return refused(
                "its answer is no message of DNS",
                "see whether a DNS server listens there",
            );
        };
        let signature = last_record(answer).and_then(|place| {
            let is_tsig = number(answer, place.fields) == Some(TYPE_TSIG);
            let signature = is_tsig.then(|| Signature::read(answer, place.fields + 10, place.end))??;
            Some((place.begin, signature))
        });
        let Some((begin, signature)) = signature else {
            return match code {
                0 => refused(
                    "its answer is not signed",
                    "see whether it is the zone's own server, and not one in between",
                ),
                code => unhappy(code),
            };
        };
        // These come unsigned, or with a signature that we cannot check: they can cost a success, never fake one.
        match signature.error {
            BAD_KEY => {
                return refused(
                    "it does not know the key (BADKEY)",
                    "give it a key of this name and algorithm, or correct tls.acme.dns.rfc2136.key_name and key_algorithm",
                );
            }
            BAD_SIGNATURE => {
                return refused(
                    "it has another secret for this key (BADSIG)",
                    "put the secret of the server's configuration into tls.acme.dns.rfc2136.key_secret",
                );
            }
            BAD_TIME => {
                return refused(
                    "its clock and the clock of this machine differ by more than 5 minutes (BADTIME)",
                    "set both right, such as with timedatectl set-ntp true",
                );
            }
            _ => {}
        }
        if !self.is_signed(answer, begin, &signature, request_mac, now) {
            return refused(
                "the signature of its answer is wrong",
                "see whether something in between answers in its place",
            );
        }
        match code {
            0 => Judgement::Done,
            code => unhappy(code),
        }
    }

    fn is_signed(
        &self,
        answer: &[u8],
        begin: usize,
        signature: &Signature<'_>,
        request_mac: &[u8],
        now: u64,
    ) -> bool {
        let mut unsigned = answer.get(..begin).unwrap_or_default().to_vec();
        let Some(left) = number(&unsigned, 10).and_then(|count| count.checked_sub(1)) else {
            return false;
        };
        set_additional(&mut unsigned, left);
        if let Some(id) = unsigned.get_mut(..2) {
            id.copy_from_slice(&signature.original_id.to_be_bytes());
        }
        let variables = self.variables(signature.time, signature.fudge, signature.error, signature.other);
        let covered = [&length(request_mac), request_mac, &unsigned, &variables].concat();
        let in_time = now.abs_diff(signature.time) <= u64::from(signature.fudge);
        in_time && hmac::verify(&self.secret, &covered, signature.mac).is_ok()
    }
}

impl<'a> Signature<'a> {
    fn read(message: &'a [u8], begin: usize, end: usize) -> Option<Self> {
        let at = after_name(message, begin)?;
        let time = message.get(at..at.checked_add(6)?)?;
        let time = time.iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
        let fudge = number(message, at + 6)?;
        let mac_begin = at + 10;
        let mac_end = mac_begin.checked_add(usize::from(number(message, at + 8)?))?;
        let other_begin = mac_end.checked_add(6)?;
        let other_end = other_begin.checked_add(usize::from(number(message, mac_end + 4)?))?;
        if other_end != end {
            return None;
        }
        Some(Self {
            time,
            fudge,
            mac: message.get(mac_begin..mac_end)?,
            original_id: number(message, mac_end)?,
            error: number(message, mac_end + 2)?,
            other: message.get(other_begin..other_end)?,
        })
    }
}

/// Source: RFC 2136 section 2.2 for the codes.
fn unhappy(code: u16) -> Judgement {
    let (name, fix) = match code {
        5 => (
            "REFUSED",
            "allow the key to change TXT records below _acme-challenge (BIND: update-policy, Knot: acl with action: update)",
        ),
        9 => (
            "NOTAUTH",
            "name the zone's own (primary) server, and the zone itself, in tls.acme.dns.rfc2136.server and zone; the key has to be one of its keys",
        ),
        10 => (
            "NOTZONE",
            "name the record's own zone in tls.acme.dns.rfc2136.zone",
        ),
        2 => (
            "SERVFAIL",
            "see the log of the DNS server; often it may not write the zone's journal",
        ),
        4 => ("NOTIMP", "name a server that takes dynamic updates"),
        1 => ("FORMERR", "see the log of the DNS server"),
        _ => ("an error", "see the log of the DNS server"),
    };
    Judgement::Refused {
        why: format!("it answered {name} (code {code})"),
        fix: fix.to_owned(),
    }
}

fn time_bytes(time: u64) -> [u8; 6] {
    let [_, _, bytes @ ..] = time.to_be_bytes();
    bytes
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn set_additional(message: &mut [u8], count: u16) {
    if let Some(place) = message.get_mut(HEADER - 2..HEADER) {
        place.copy_from_slice(&count.to_be_bytes());
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

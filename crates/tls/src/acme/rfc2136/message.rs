//! Messages of DNS: an update that adds or removes one TXT record, and where the parts of an answer lie.
//!
//! Units: bytes, numbers in network order. Nothing is compressed in what we write; what we read is walked through, never
//! trusted: each step is checked against the end of the message.
//! Source: RFC 1035 section 4.1, RFC 2136 sections 2 and 3.4.2.

use std::fmt;

use super::BadSetting;

const TYPE_SOA: u16 = 6;
const TYPE_TXT: u16 = 16;
const CLASS_IN: u16 = 1;
const CLASS_NONE: u16 = 254;
const OPCODE_UPDATE: u16 = 5 << 11;
/// Gone from caches soon after it is removed.
const TTL: u32 = 60;
pub(super) const HEADER: usize = 12;
/// A text of TXT has one byte for its length. Source: RFC 1035 section 3.3.
const TEXT_MAX: usize = 255;

/// A name as it stands in messages: lower case, each label behind its length, a zero at the end.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct WireName(Vec<u8>);

impl WireName {
    pub(super) fn parse(text: &str) -> Result<Self, BadSetting> {
        let bad = || BadSetting::Name(text.to_owned());
        let mut wire = Vec::with_capacity(text.len() + 2);
        let labels = text.strip_suffix('.').unwrap_or(text);
        for label in labels.split('.') {
            let length = u8::try_from(label.len())
                .ok()
                .filter(|length| (1..=63).contains(length));
            wire.push(length.ok_or_else(bad)?);
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        if wire.len() > 255 || !text.is_ascii() {
            return Err(bad());
        }
        Ok(Self(wire))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this name is the other one or in it.
    pub(super) fn is_below(&self, zone: &Self) -> bool {
        let mut rest = self.0.as_slice();
        loop {
            if rest == zone.0 {
                return true;
            }
            match rest.split_first() {
                Some((length, after)) if *length > 0 => {
                    rest = after.get(usize::from(*length)..).unwrap_or_default();
                }
                _ => return false,
            }
        }
    }
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        while let Some((length, after)) = rest.split_first() {
            let (label, more) = after.split_at(usize::from(*length).min(after.len()));
            if *length > 0 {
                write!(f, "{}.", String::from_utf8_lossy(label))?;
            }
            rest = more;
        }
        Ok(())
    }
}

/// What happens to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
}

/// One record, and what happens to it.
pub(super) struct Update<'a> {
    pub(super) id: u16,
    pub(super) zone: &'a WireName,
    pub(super) name: &'a WireName,
    pub(super) value: &'a str,
    pub(super) change: Change,
}

impl Update<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        // Header: one zone, no prerequisite, one update, nothing additional yet.
        for number in [self.id, OPCODE_UPDATE, 1, 0, 1, 0] {
            out.extend(number.to_be_bytes());
        }
        out.extend(self.zone.bytes());
        out.extend(TYPE_SOA.to_be_bytes());
        out.extend(CLASS_IN.to_be_bytes());
        // Removing names the record by what it holds, so that a neighbour with the same name stays.
        let (class, ttl) = match self.change {
            Change::Add => (CLASS_IN, TTL),
            Change::Remove => (CLASS_NONE, 0),
        };
        out.extend(self.name.bytes());
        out.extend(TYPE_TXT.to_be_bytes());
        out.extend(class.to_be_bytes());
        out.extend(ttl.to_be_bytes());
        let mut data = Vec::new();
        for text in self.value.as_bytes().chunks(TEXT_MAX) {
            data.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            data.extend(text);
        }
        out.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(data);
        out
    }
}

pub(super) fn number(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

pub(super) fn id_of(message: &[u8]) -> Option<u16> {
    number(message, 0)
}

/// Whether the answer did not fit into a datagram.
pub(super) fn is_truncated(message: &[u8]) -> bool {
    number(message, 2).is_some_and(|flags| flags & 0x0200 != 0)
}

/// How the server answers: 0 is done. Source: RFC 2136 section 2.2.
pub(super) fn rcode(message: &[u8]) -> Option<u16> {
    number(message, 2).map(|flags| flags & 0x000f)
}

/// A record of a message: where it begins, where its fields begin after its name, and where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) begin: usize,
    pub(super) fields: usize,
    pub(super) end: usize,
}

/// The last record of a message, if it has one and nothing comes after it.
pub(super) fn last_record(message: &[u8]) -> Option<Place> {
    let count = |index: usize| number(message, 4 + 2 * index).map(usize::from);
    let mut at = HEADER;
    for _ in 0..count(0)? {
        at = after_name(message, at)?.checked_add(4)?;
    }
    let mut last = None;
    for _ in 0..count(1)? + count(2)? + count(3)? {
        let fields = after_name(message, at)?;
        let length = usize::from(number(message, fields.checked_add(8)?)?);
        let end = fields.checked_add(10)?.checked_add(length)?;
        if end > message.len() {
            return None;
        }
        last = Some(Place {
            begin: at,
            fields,
            end,
        });
        at = end;
    }
    last.filter(|place| place.end == message.len())
}

/// Where a name ends that begins here; a pointer ends it. Source: RFC 1035 section 4.1.4.
pub(super) fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return at.checked_add(1),
            pointer if pointer & 0xc0 == 0xc0 => return at.checked_add(2),
            length if length & 0xc0 == 0 => at = at.checked_add(1 + usize::from(length))?,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> WireName {
        WireName::parse(text).unwrap()
    }

    #[test]
    fn an_update_is_laid_out_as_the_standard_says() {
        let update = Update {
            id: 0x1234,
            zone: &name("example.com"),
            name: &name("_acme-challenge.Example.com."),
            value: "v",
            change: Change::Add,
        };
        let expected = [
            &b"\x12\x34\x28\x00\x00\x01\x00\x00\x00\x01\x00\x00"[..],
            b"\x07example\x03com\x00\x00\x06\x00\x01",
            b"\x0f_acme-challenge\x07example\x03com\x00\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01v",
        ]
        .concat();
        assert_eq!(update.encode(), expected);
        let removal = Update {
            change: Change::Remove,
            ..update
        }
        .encode();
        assert!(removal.ends_with(b"\x00\x10\x00\xfe\x00\x00\x00\x00\x00\x02\x01v"));
        let place = last_record(&expected).unwrap();
        assert_eq!(
            (place.end, &expected[place.begin..=place.begin]),
            (expected.len(), &b"\x0f"[..])
        );
    }

    #[test]
    fn a_name_is_in_a_zone_only_at_a_label() {
        assert!(name("a.example.com").is_below(&name("example.com")));
        assert!(name("example.com").is_below(&name("EXAMPLE.com")));
        assert!(!name("a.badexample.com").is_below(&name("example.com")));
        assert!(!name("com").is_below(&name("example.com")));
        for bad in ["", "a..b", &"a".repeat(64), &"a.".repeat(130)] {
            assert!(WireName::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(name("a.b").to_string(), "a.b.");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_server_sends_is_walked_through(bytes: Vec<u8>) {
            if let Some(place) = last_record(&bytes) {
                assert!(place.begin < place.fields && place.fields < place.end && place.end == bytes.len());
            }
        }

        #[test]
        fn a_record_is_found_again(value in "[ -~]{1,600}", host in "[a-z]{1,20}") {
            let (zone, name) = (name("example.com"), name(&format!("{host}.example.com")));
            let message = Update { id: 7, zone: &zone, name: &name, value: &value, change: Change::Add }.encode();
            let place = last_record(&message).unwrap();
            assert_eq!(&message[place.begin..place.fields], name.bytes());
        }
    }
}

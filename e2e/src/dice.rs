//! Seeded chance, so that a failing run can be repeated: same `SEED`, same decisions.
//!
//! Source: the SplitMix64 generator (Steele, Lea, Flood, 2014); not for secrets.

/// A generator of numbers.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    /// Two generators with one seed throw the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of this run: `SEED` from the environment, otherwise taken from the clock. It is printed, to be used again.
    #[must_use]
    pub fn seed_of_run() -> u64 {
        let seed = std::env::var("SEED").ok().map_or_else(
            || {
                let clock = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
                u64::from(clock.subsec_nanos()) ^ clock.as_secs()
            },
            |text| text.parse().expect("SEED must be a number"),
        );
        println!("SEED={seed}");
        seed
    }

    /// The next number, all 64 bits of it.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.throw() % end
    }

    /// An index into something of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("an index is no larger than a length")
    }

    /// True once in `n` throws.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Bytes that no compression makes smaller and no other throw makes again.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.throw().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

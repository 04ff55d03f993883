//! How many rows a job takes in one step: so few while clients come that one of them waits for less time than a pull takes, and
//! twice as many after each step in which nobody came, because every commit has its price.

/// While clients come.
const ROWS_MIN: usize = 4;
/// A client who comes while nobody was expected waits some milliseconds, once.
const ROWS_MAX: usize = 64;

/// See the file.
#[derive(Debug)]
pub(super) struct Stride {
    rows: usize,
    asked: u64,
}

impl Stride {
    pub(super) fn new() -> Self {
        Self {
            rows: ROWS_MIN,
            asked: 0,
        }
    }

    /// Rows of the next step. `asked` grows whenever a client comes.
    pub(super) fn next(&mut self, asked: u64) -> usize {
        self.rows = if asked == self.asked {
            (self.rows * 2).min(ROWS_MAX)
        } else {
            ROWS_MIN
        };
        self.asked = asked;
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_while_nobody_comes_and_are_small_again_with_the_first_client() {
        let mut stride = Stride::new();
        let steps = [1, 1, 1, 1, 1, 2, 2, 3, 4].map(|asked| stride.next(asked));
        assert_eq!(steps, [4, 8, 16, 32, 64, 4, 8, 4, 4]);
    }
}

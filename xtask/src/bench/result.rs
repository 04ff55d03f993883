//! The figures of a run, and how Landfall stands among them.
//!
//! Units: ratios are how many times the other's figure Landfall's is; for times and sizes less is better, and they are so marked.

use super::case::Case;
use super::compare::Comparison;
use super::figures::{Figure, Unit};
use super::product::Product;

/// What a case came to.
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) unit: Unit,
    pub(crate) limit: Option<Product>,
    pub(crate) figures: Vec<(Product, Figure)>,
    /// Why a server has no figure.
    pub(crate) failures: Vec<(Product, String)>,
}

/// What the machine does without any server.
pub(crate) struct MachineLimit {
    pub(crate) heading: &'static str,
    /// MB/s
    pub(crate) rate: f64,
}

/// All of it.
pub(crate) struct Run {
    /// What the figures were taken with: size of the large blob, rounds, and so on.
    pub(crate) notes: Vec<String>,
    pub(crate) machine: Vec<MachineLimit>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Landfall against itself.
    pub(crate) comparisons: Vec<Comparison>,
}

/// Landfall against another.
#[derive(Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) to: Product,
    pub(crate) value: f64,
    pub(crate) cpu: Option<f64>,
}

impl Outcome {
    pub(crate) fn of(case: &Case) -> Self {
        Self {
            name: case.name,
            heading: case.heading,
            unit: case.unit,
            limit: case.limit,
            figures: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn figure(&self, product: Product) -> Option<&Figure> {
        self.figures
            .iter()
            .find(|(found, _)| *found == product)
            .map(|(_, figure)| figure)
    }

    /// Against the peer that does best.
    pub(crate) fn to_best_peer(&self) -> Option<Ratio> {
        let peers = self.figures.iter().filter(|(product, _)| product.is_peer());
        let by_value = |a: &&(Product, Figure), b: &&(Product, Figure)| a.1.value.total_cmp(&b.1.value);
        let best = if self.unit.is_better_when_less() {
            peers.min_by(by_value)
        } else {
            peers.max_by(by_value)
        };
        self.ratio(best?.0)
    }

    pub(crate) fn to_limit(&self) -> Option<Ratio> {
        self.ratio(self.limit?)
    }

    fn ratio(&self, to: Product) -> Option<Ratio> {
        let (ours, other) = (self.figure(Product::Landfall)?, self.figure(to)?);
        Some(Ratio {
            to,
            value: ours.value / other.value,
            cpu: ours.cpu.zip(other.cpu).map(|(ours, other)| ours / other),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::figures::number;
    use super::*;

    pub(crate) fn figure(value: f64) -> Figure {
        Figure {
            value,
            least: value * 0.9,
            most: value * 1.1,
            cpu: Some(value / 1000.0),
            peak: Some(64.0),
        }
    }

    pub(crate) fn run() -> Run {
        Run {
            notes: vec!["3 rounds".to_owned()],
            machine: vec![MachineLimit {
                heading: "SHA-256 on one core",
                rate: 1900.0,
            }],
            outcomes: vec![Outcome {
                name: "push-put",
                heading: "push of 1 GiB by one PUT",
                unit: Unit::Throughput,
                limit: Some(Product::Bare),
                figures: vec![
                    (Product::Landfall, figure(1200.0)),
                    (Product::Distribution2, figure(500.0)),
                    (Product::Distribution3, figure(600.0)),
                    (Product::Bare, figure(1500.0)),
                ],
                failures: vec![(Product::Nginx, "it cannot".to_owned())],
            }],
            comparisons: Vec::new(),
        }
    }

    #[test]
    fn landfall_is_held_against_the_best_peer_and_the_limit() {
        let mut run = run();
        let outcome = &mut run.outcomes[0];
        let peer = outcome.to_best_peer().unwrap();
        assert_eq!(
            (peer.to, number(peer.value)),
            (Product::Distribution3, "2.00".to_owned())
        );
        assert_eq!(number(outcome.to_limit().unwrap().value), "0.80");
        outcome.unit = Unit::Latency;
        assert_eq!(outcome.to_best_peer().unwrap().to, Product::Distribution2);
        outcome.figures.remove(0);
        assert_eq!(outcome.to_limit(), None);
    }
}

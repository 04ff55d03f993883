//! A run as JSON, for other programs and for later comparison.
//!
//! Units: as the field `unit` says; `cpu` in the unit of `cpu_unit`; `peak_mb` is 10^6 bytes.

use serde_json::{Value, json};

use super::compare::Comparison;
use super::figures::Figure;
use super::product::Product;
use super::result::{Outcome, Ratio, Run};

/// The whole document.
pub(crate) fn of(run: &Run) -> Value {
    json!({
        "notes": run.notes,
        "machine": run.machine.iter().map(|limit| json!({"heading": limit.heading, "mb_per_second": limit.rate})).collect::<Vec<_>>(),
        "cases": run.outcomes.iter().map(case).collect::<Vec<_>>(),
        "comparisons": run.comparisons.iter().map(comparison).collect::<Vec<_>>(),
    })
}

fn comparison(comparison: &Comparison) -> Value {
    let sides = comparison.sides.iter();
    json!({
        "name": comparison.name,
        "heading": comparison.heading,
        "unit": comparison.unit,
        "figures": sides.map(|(side, value)| json!({"side": side, "value": value})).collect::<Vec<_>>(),
        "ratio": comparison.ratio(),
        "goal": comparison.goal,
    })
}

fn case(outcome: &Outcome) -> Value {
    json!({
        "name": outcome.name,
        "heading": outcome.heading,
        "unit": outcome.unit.name(),
        "cpu_unit": outcome.unit.cpu_name(),
        "less_is_better": outcome.unit.is_better_when_less(),
        "figures": outcome.figures.iter().map(figure).collect::<Vec<_>>(),
        "failures": outcome.failures.iter().map(|(product, why)| json!({"server": product.name(), "why": why})).collect::<Vec<_>>(),
        "to_best_peer": outcome.to_best_peer().map(ratio),
        "to_limit": outcome.to_limit().map(ratio),
    })
}

fn figure((product, figure): &(Product, Figure)) -> Value {
    json!({"server": product.name(), "value": figure.value, "least": figure.least, "most": figure.most,
        "cpu": figure.cpu, "peak_mb": figure.peak})
}

#[expect(clippy::needless_pass_by_value, reason = "fits `map`")]
fn ratio(ratio: Ratio) -> Value {
    json!({"server": ratio.to.name(), "value": ratio.value, "cpu": ratio.cpu})
}

#[cfg(test)]
mod tests {
    use super::super::result::tests::run;

    #[test]
    fn a_run_can_be_read_by_programs() {
        let document = super::of(&run());
        let case = &document["cases"][0];
        assert_eq!(case["name"], "push-put");
        assert_eq!(case["figures"][0]["server"], "landfall");
        assert_eq!(case["figures"][0]["value"], 1200.0);
        assert_eq!(case["to_best_peer"]["value"], 2.0);
        assert_eq!(document["machine"][0]["mb_per_second"], 1900.0);
    }
}

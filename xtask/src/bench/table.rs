//! A run as text: a block for each case, a line for each server.

use std::fmt::Write as _;

use super::figures::{Figure, number};
use super::result::{Outcome, Ratio, Run};

/// The whole table.
pub(crate) fn of(run: &Run) -> String {
    let mut text = String::new();
    for limit in &run.machine {
        let _ = writeln!(text, "{:<44} {:>9} MB/s", limit.heading, number(limit.rate));
    }
    for outcome in &run.outcomes {
        text.push('\n');
        text += &block(outcome);
    }
    for comparison in &run.comparisons {
        text.push('\n');
        text += &comparison.block();
    }
    text.push('\n');
    for note in &run.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// One case.
pub(crate) fn block(outcome: &Outcome) -> String {
    let unit = outcome.unit;
    let heading = format!("{} [{}]", outcome.heading, outcome.name);
    let mut text = format!(
        "{heading:<66} {:>9}   {:<19} {:>10} {:>8}\n",
        unit.name(),
        "least .. most",
        unit.cpu_name(),
        "peak MB"
    );
    for (product, figure) in &outcome.figures {
        text += line(product.name(), figure).trim_end();
        text.push('\n');
    }
    for (product, why) in &outcome.failures {
        let _ = writeln!(text, "  {:<64} failed: {why}", product.name());
    }
    let ratios: Vec<String> = [outcome.to_best_peer(), outcome.to_limit()]
        .into_iter()
        .flatten()
        .map(|ratio| words(&ratio))
        .collect();
    if !ratios.is_empty() {
        let less = if unit.is_better_when_less() {
            " (less is better)"
        } else {
            ""
        };
        let _ = writeln!(text, "  -> landfall: {}{less}", ratios.join("; "));
    }
    text
}

fn line(name: &str, figure: &Figure) -> String {
    let range = format!("{} .. {}", number(figure.least), number(figure.most));
    let [cpu, peak] = [figure.cpu, figure.peak].map(|value| value.map(number).unwrap_or_default());
    format!(
        "  {name:<64} {:>9}   {range:<19} {cpu:>10} {peak:>8}",
        number(figure.value)
    )
}

fn words(ratio: &Ratio) -> String {
    let cpu = ratio.cpu.filter(|cpu| cpu.is_finite());
    let cpu = cpu.map(|cpu| format!(", CPU {cpu:.2}")).unwrap_or_default();
    format!("{:.2} of {}{cpu}", ratio.value, ratio.to.name())
}

#[cfg(test)]
mod tests {
    use super::super::result::tests::run;

    #[test]
    fn a_run_is_a_block_for_each_case() {
        let text = super::of(&run());
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("SHA-256 on one core") && lines[0].ends_with("1,900 MB/s"));
        assert!(lines[2].starts_with("push of 1 GiB by one PUT [push-put]"));
        assert!(lines[3].contains("landfall") && lines[3].contains("1,200   1,080 .. 1,320"));
        assert_eq!(
            lines[8],
            "  -> landfall: 2.00 of distribution 3, CPU 2.00; 0.80 of bare server, CPU 0.80"
        );
        assert!(text.contains("failed: it cannot"));
        assert!(text.ends_with("\n3 rounds\n"));
    }
}

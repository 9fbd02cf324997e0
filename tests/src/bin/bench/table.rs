//! Results as the page shows them.

use std::fmt::Write as _;

use super::stopwatch::{Results, Taken};

/// Returns the middle value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// Returns a section: one line for each contestant, in this order, compared with the first.
pub fn section(title: &str, words: &str, order: &[&str], results: &Results) -> String {
    let mut text = format!("### {title}\n\n{words}\n\n");
    text.push_str("| | n | median ms | min..max ms | ratio | CPU s | peak MB |\n|---|---:|---:|---:|---:|---:|---:|\n");
    let first = order.first().and_then(|name| results.get(*name)).map_or(f64::NAN, |taken| median(&taken.ms));
    for (name, taken) in order.iter().filter_map(|name| results.get(*name).map(|taken| (name, taken))) {
        let _ = writeln!(text, "{}", line(name, taken, first));
    }
    text.push('\n');
    text
}

fn line(name: &str, taken: &Taken, first: f64) -> String {
    let (low, high) = taken.ms.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), ms| (low.min(*ms), high.max(*ms)));
    let peak = taken.peak_kb.map_or_else(|| "-".to_owned(), |kb| format!("{:.1}", kb / 1024.0));
    let middle = median(&taken.ms);
    format!(
        "| {name} | {} | {middle:.0} | {low:.0}..{high:.0} | {:.2} | {:.3} | {peak} |",
        taken.ms.len(),
        middle / first,
        median(&taken.cpu)
    )
}

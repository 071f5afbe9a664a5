//! The counters of a run as a table for people: one block for each subject, what never happened left out.

use super::records::Stats;
use std::fmt::Write;

/// Renders the counters, grouped by the first part of their names.
pub fn render(stats: &Stats) -> String {
    let rows: Vec<_> = stats.iter().map(|(name, value)| (name.split_once('.').unwrap_or(("", name)), *value)).collect();
    let mut text = String::new();
    for block in rows.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
        let shown = |value: &u64| *value > 0 || block.len() == 1;
        let some = block.iter().filter(|(_, value)| shown(value));
        let lines: Vec<_> = some.map(|((_, item), value)| line(item, *value)).collect();
        let _ = write!(text, "{:<12}", block[0].0.0);
        text += &if lines.is_empty() { "none\n".to_owned() } else { lines.join(&" ".repeat(12)) };
    }
    text
}

fn line(item: &str, value: u64) -> String {
    format!("{:<28} {:>16}\n", item.replace('.', " "), grouped(value))
}

/// `1 234 567`
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let start = digits.len() % 3;
    let (head, rest) = digits.split_at(start);
    let mut parts: Vec<_> = rest.as_bytes().chunks(3).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    if !head.is_empty() {
        parts.insert(0, head.to_owned());
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_grouped_by_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(123_456), "123 456");
    }

    #[test]
    fn counters_of_one_subject_stand_together_and_zeros_are_left_out() {
        let stats = [
            ("exit.hcall", 3),
            ("exit.hdec", 4),
            ("fault.read.made", 5),
            ("fault.read.lost", 0),
            ("retry.busy", 0),
            ("retry.lost", 0),
        ];
        let text = render(&stats.map(|(name, value)| (name.to_owned(), value)).into());
        let words: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected: [&[&str]; 4] =
            [&["exit", "hcall", "3"], &["hdec", "4"], &["fault", "read", "made", "5"], &["retry", "none"]];
        assert_eq!(words, expected);
    }
}

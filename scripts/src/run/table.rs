//! The counters of a run as a table for people: one block for each subject, numbers aligned.

use super::records::Stats;
use std::fmt::Write;

/// Renders the counters, grouped by all but the last part of their names.
pub fn render(stats: &Stats) -> String {
    let mut text = String::new();
    let mut group = "";
    for (name, value) in stats {
        let (subject, item) = name.rsplit_once('.').unwrap_or(("", name));
        if subject != group {
            let _ = writeln!(text, "{}", subject.replace('.', " "));
            group = subject;
        }
        let _ = writeln!(text, "  {item:<28} {:>16}", grouped(*value));
    }
    text
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
    fn counters_of_one_subject_stand_together() {
        let stats = [("exits.hcall", 3), ("exits.hdec", 4), ("faults.read.made", 5)];
        let stats = stats.map(|(name, value)| (name.to_owned(), value)).into();
        let text = render(&stats);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!((lines[0], lines[3]), ("exits", "faults read"));
        assert!(lines[1].starts_with("  hcall") && lines[1].ends_with(" 3"));
    }
}

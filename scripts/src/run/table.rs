//! The counters of a run as a table for people: one block for each subject, what never happened left out.

use super::records::Stats;
use std::fmt::Write;

/// Renders the counters, grouped by the first part of their names.
pub fn render(stats: &Stats) -> String {
    let rows: Vec<_> = stats.iter().map(|(name, value)| (name.split_once('.').unwrap_or(("", name)), *value)).collect();
    let mut text = String::new();
    for block in rows.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
        let subject = block[0].0.0;
        let shown = |item: &str, value: u64| (value > 0 || block.len() == 1) && !is_told_by_overcommit(subject, item);
        let some = block.iter().filter(|((_, item), value)| shown(item, *value));
        let mut lines: Vec<_> = some.map(|((_, item), value)| line(item, &grouped(*value))).collect();
        if subject == STORE {
            lines.splice(0..0, overcommit(stats));
        }
        let _ = write!(text, "{subject:<12}");
        text += &if lines.is_empty() { "none\n".to_owned() } else { lines.join(&" ".repeat(12)) };
    }
    text
}

/// The subject of a guest whose memory is larger than what it is given.
const STORE: &str = "store";

/// What went out, what came back, to which part of its size, and how often a fault met a page that was on its way. Always shown: that none did is an answer too.
fn overcommit(stats: &Stats) -> [String; 4] {
    let get = |name| stats.get(name).copied().unwrap_or(0);
    let waits = stats.iter().filter(|(name, _)| name.starts_with("fault.") && name.ends_with(".wait"));
    [
        line("page-outs", &grouped(get("store.paged-out"))),
        line("page-ins", &grouped(get("store.paged-in"))),
        line("ratio", &ratio(get("store.pages") * 4096, get("store.memory-bytes"))),
        line("waits", &grouped(waits.map(|(_, count)| count).sum())),
    ]
}

fn is_told_by_overcommit(subject: &str, item: &str) -> bool {
    subject == STORE && ["paged-out", "paged-in"].contains(&item)
}

/// `5.0 : 1`
fn ratio(before: u64, after: u64) -> String {
    if after == 0 { "none stored".to_owned() } else { format!("{:.1} : 1", before as f64 / after as f64) }
}

fn line(item: &str, value: &str) -> String {
    format!("{:<28} {value:>16}\n", item.replace('.', " "))
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

    fn words(stats: &[(&str, u64)]) -> Vec<String> {
        let text = render(&stats.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect());
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
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
        assert_eq!(words(&stats), ["exit hcall 3", "hdec 4", "fault read made 5", "retry none"]);
    }

    #[test]
    fn a_guest_with_a_budget_is_told_what_went_and_came_even_if_nothing_did() {
        let stats = [
            ("fault.read.wait", 3),
            ("fault.write.wait", 4),
            ("store.memory-bytes", 8192),
            ("store.paged-in", 2),
            ("store.paged-out", 12),
            ("store.pages", 10),
        ];
        let expected =
            ["store page-outs 12", "page-ins 2", "ratio 5.0 : 1", "waits 7", "memory-bytes 8 192", "pages 10"];
        assert_eq!(words(&stats)[2..], expected);
        let none = ["store page-outs 0", "page-ins 0", "ratio none stored", "waits 0"];
        assert_eq!(words(&[("store.paged-out", 0), ("store.pages", 0)]), none);
    }
}

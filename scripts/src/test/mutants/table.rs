//! The table at the end: each mutant, what it takes out, and what noticed.

use super::{Row, Verdict};

/// One line for each mutant, under a heading.
pub fn render(rows: &[Row<'_>]) -> String {
    let heading = ["mutant", "takes out", "killed by", "seconds"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(heading).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let line = |cells: &[String; 4]| {
        let [name, what, by, seconds] = cells;
        format!("{name:<0$} | {what:<1$} | {by:<2$} | {seconds:>7}\n", widths[0], widths[1], widths[2])
    };
    lines.iter().map(line).collect()
}

fn cells(row: &Row<'_>) -> [String; 4] {
    let by = match &row.verdict {
        Verdict::Killed(test) => last(test).to_owned(),
        Verdict::Hung(test) => format!("the time limit, in {}", last(test)),
        Verdict::Failed(why) => format!("NOTHING: {}", why.lines().next().unwrap_or_default()),
    };
    [row.mutant.name.clone(), row.mutant.takes_out.clone(), by, format!("{:.0}", row.seconds)]
}

/// A test's own name and that of its module, which says what it is about.
fn last(test: &str) -> &str {
    test.rmatch_indices("::").nth(1).map_or(test, |(at, _)| &test[at + 2..])
}

#[cfg(test)]
mod tests {
    use super::super::list::Mutant;
    use super::*;

    #[test]
    fn columns_stand_below_each_other_and_survivors_stand_out() {
        let mutant = Mutant::example(&[]);
        let row = |verdict| Row { mutant: &mutant, verdict, seconds: 12.4 };
        let verdicts = [
            Verdict::Killed("mmu::tests::frees_last".into()),
            Verdict::Hung("a::b".into()),
            Verdict::Failed("survived 3 tests".into()),
        ];
        let text = render(&verdicts.map(row));
        let bars = |line: &str| line.match_indices('|').map(|(at, _)| at).collect::<Vec<_>>();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| bars(line) == bars(lines[0])));
        assert!(lines[1].contains("| tests::frees_last "));
        assert!(lines[2].contains("the time limit, in a::b"));
        assert!(lines[3].contains("NOTHING: survived 3 tests"));
    }
}

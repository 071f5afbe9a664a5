//! Reads what a test program prints: which tests passed, which one failed, and which one is running.

/// What is known from the output so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub passed: Vec<String>,
    /// The first that failed.
    pub failed: Option<String>,
    /// The one that has begun and not ended.
    pub running: Option<String>,
}

/// Reads the output of a program that runs one test at a time.
pub fn read(text: &str) -> Report {
    let mut report = Report::default();
    for line in text.lines() {
        let Some((name, result)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ...")) else {
            continue;
        };
        let name = name.trim_end_matches(" - should panic").to_owned();
        match result.trim() {
            "ok" => report.passed.push(name),
            "FAILED" => report.failed = report.failed.or(Some(name)),
            "" => report.running = Some(name),
            _ignored => {}
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_apart_by_how_they_ended() {
        let report = read(
            "\nrunning 5 tests\ntest a::b ... ok\ntest c - should panic ... ok\ntest d ... ignored\ntest e ... FAILED\ntest f ... ",
        );
        assert_eq!(report.passed, ["a::b", "c"]);
        assert_eq!((report.failed.as_deref(), report.running.as_deref()), (Some("e"), Some("f")));
    }

    #[test]
    fn the_summary_and_what_tests_print_are_no_tests() {
        let report = read("test result: ok. 3 passed; 0 failed\nfailures:\n    a::b\ntesting ... 1 2 3\n");
        assert_eq!(report, Report::default());
    }
}

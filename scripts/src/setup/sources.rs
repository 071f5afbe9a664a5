//! The machine's own apt sources, read so that other suites can be asked of the same archive.
//!
//! No mirror is named in this tree: whatever the machine's administrator chose for Debian serves here too, with the
//! same keys. Both formats are read, one line per source and deb822 stanzas, and everything is written as deb822.

use std::fs;
use std::path::{Path, PathBuf};

/// A Debian archive as one entry of the machine's configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub uris: String,
    pub suites: Vec<String>,
    pub components: String,
    /// The field as it stands: a path, or a whole key over several lines.
    pub signed_by: Option<String>,
}

/// Names under which Debian's main archive is configured; other vendors' suites are called otherwise.
const DEBIAN_SUITES: [&str; 9] =
    ["bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];

impl Source {
    /// The same archive asked for other suites, main component only.
    pub fn with_suites(&self, suites: &[&str]) -> Self {
        let suites = suites.iter().map(|suite| (*suite).to_owned()).collect();
        Self { suites, components: "main".into(), ..self.clone() }
    }

    /// Whether this is Debian's main archive (and not its security archive, or someone else's).
    pub fn is_debian(&self) -> bool {
        let named = self.suites.iter().any(|suite| DEBIAN_SUITES.contains(&suite.as_str()));
        named && self.components.split_whitespace().any(|component| component == "main")
    }

    /// The entry as a deb822 stanza.
    pub fn stanza(&self) -> String {
        let suites = self.suites.join(" ");
        let mut text = format!("Types: deb\nURIs: {}\nSuites: {suites}\nComponents: {}\n", self.uris, self.components);
        if let Some(key) = &self.signed_by {
            text += &format!("Signed-By: {key}\n");
        }
        text + "\n"
    }
}

/// Every binary source that the machine's apt would use.
pub fn machine() -> Vec<Source> {
    let etc = Path::new("/etc/apt");
    let mut files = vec![etc.join("sources.list")];
    files.extend(listed(&etc.join("sources.list.d")));
    files.iter().filter_map(|file| Some(parse(file, &fs::read_to_string(file).ok()?))).flatten().collect()
}

fn listed(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_list(path) || is_deb822(path)).collect();
    files.sort();
    files
}

fn is_list(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "list")
}

fn is_deb822(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "sources")
}

fn parse(file: &Path, text: &str) -> Vec<Source> {
    match is_deb822(file) {
        true => stanzas(text).filter_map(|fields| from_stanza(&fields)).collect(),
        false => text.lines().filter_map(from_line).collect(),
    }
}

/// `deb [options] uri suite component…`
fn from_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim().strip_prefix("deb")?;
    let line = line.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match line.strip_prefix('[') {
        Some(line) => line.split_once(']')?,
        None => ("", line),
    };
    let mut words = rest.split_whitespace();
    let (uris, suite) = (words.next()?.to_owned(), words.next()?.to_owned());
    let components = words.collect::<Vec<_>>().join(" ");
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned);
    Some(Source { uris, suites: vec![suite], components, signed_by })
}

type Fields = Vec<(String, String)>;

/// The stanzas of a deb822 file, comments left out, continuation lines kept as they are.
fn stanzas(text: &str) -> impl Iterator<Item = Fields> + '_ {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let blocks: Vec<Fields> = lines.split(|line| line.trim().is_empty()).map(fields).collect();
    blocks.into_iter()
}

fn fields(lines: &[&str]) -> Fields {
    let mut fields = Fields::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            fields.last_mut().into_iter().for_each(|(_, value)| *value += &format!("\n{line}"));
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    fields
}

fn from_stanza(fields: &Fields) -> Option<Source> {
    let get = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let enabled = get("enabled").is_none_or(|value| !["no", "false", "0"].contains(&value.as_str()));
    let binary = get("types")?.split_whitespace().any(|kind| kind == "deb");
    let suites = get("suites")?.split_whitespace().map(str::to_owned).collect();
    let source = Source { uris: get("uris")?, suites, components: get("components")?, signed_by: get("signed-by") };
    (enabled && binary).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://mirror.example/debian
Suites: sid
Components: main
";

    #[test]
    fn a_one_line_source_is_read_with_its_key() {
        let source =
            from_line("deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian trixie main # why").unwrap();
        assert_eq!(source.signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!((source.uris.as_str(), source.components.as_str()), ("http://mirror.example/debian", "main"));
        assert!(source.is_debian());
    }

    #[test]
    fn source_packages_and_comments_are_passed_over() {
        assert_eq!(from_line("deb-src http://mirror.example/debian trixie main"), None);
        assert_eq!(from_line("# deb http://mirror.example/debian trixie main"), None);
        assert_eq!(from_line(""), None);
    }

    #[test]
    fn deb822_stanzas_are_read_and_disabled_ones_left_out() {
        let found = parse(Path::new("debian.sources"), DEB822);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].suites, ["bookworm", "bookworm-updates"]);
        assert!(found[0].is_debian() && !found[1].is_debian());
    }

    #[test]
    fn a_key_over_several_lines_survives_reading_and_writing() {
        let found = parse(Path::new("debian.sources"), DEB822);
        let again = parse(Path::new("again.sources"), &found[0].stanza());
        assert_eq!(again, found[..1]);
        assert!(found[0].stanza().contains("\n .\n mQINBF\n"));
    }

    #[test]
    fn other_vendors_archives_are_not_taken_for_debian() {
        assert!(!from_line("deb http://mirror.example/ubuntu noble main universe").unwrap().is_debian());
        assert!(!from_line("deb http://mirror.example/tool stable-tool main").unwrap().is_debian());
    }
}

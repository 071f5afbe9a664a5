//! Where it is measured. A platform is a row.

/// A machine of QEMU's.
#[derive(Clone, Copy, Debug)]
pub struct Platform {
    pub name: &'static str,
    /// What `scripts/run` has to be told.
    pub words: &'static [&'static str],
    /// The column of the peer's figures ([`super::peer::Row::costs`]).
    pub column: usize,
    /// What has to be said about its figures.
    note: Option<&'static str>,
}

impl Platform {
    /// Whether the hypervisor has the machine to itself.
    pub fn is_bare_metal(&self) -> bool {
        self.name.starts_with("powernv")
    }
}

/// What can be asked for.
pub const NAMES: [&str; 3] = [ALL[0].name, ALL[1].name, ALL[2].name];

const ALL: [Platform; 3] = [
    Platform { name: "powernv10", words: &["--platform", "powernv10"], column: 0, note: None },
    Platform { name: "powernv9", words: &["--platform", "powernv9"], column: 1, note: None },
    Platform {
        name: "pseries",
        words: &["--platform", "pseries", "--cpu", "power10"],
        column: 2,
        note: Some(
            "nested (API v1): the hypervisor below is QEMU itself, whose work takes no instructions, neither for us nor for KVM-HV",
        ),
    },
];

/// The platforms of these names; without any, all.
pub fn wanted(names: &[String]) -> Vec<&'static Platform> {
    let wanted = |platform: &&Platform| names.is_empty() || names.iter().any(|name| name == platform.name);
    ALL.iter().filter(wanted).collect()
}

/// What has to be said about the figures of a platform.
pub fn note(name: &str) -> Option<&'static str> {
    ALL.iter().find(|platform| platform.name == name)?.note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_name_it_is_all_of_them() {
        assert_eq!(wanted(&[]).len(), NAMES.len());
        let names: Vec<_> = wanted(&["powernv9".into(), "pseries".into()]).iter().map(|one| one.name).collect();
        assert_eq!(names, ["powernv9", "pseries"]);
    }
}

//! The hypervisor loaded by firmware, with the guest's files in one archive.

use crate::session::run;
use crate::{Case, Setting};
use anyhow::Result;

/// One case for each firmware.
pub fn cases() -> Vec<Case> {
    ["vof", "slof"]
        .map(|firmware| Case::new(format!("firmware/{firmware}"), move |setting| boot(setting, firmware)))
        .into()
}

fn boot(setting: &Setting, firmware: &str) -> Result<String> {
    run(setting, &["--firmware", firmware, "--batch", "echo sum-$((40 + 2))"])?.with_code(0)?.printing("sum-42")?;
    Ok("booted and powered off".into())
}

//! The ways in which a run can end, each with its exit code; and the way in which it does not: a reboot.

use crate::matrix::POWERNV10;
use crate::session::{BOOT, SHELL_READY, Session, USER_SPACE, run};
use crate::{Case, Setting};
use anyhow::Result;

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("ends/batch", |setting| batch(setting, &[])),
        Case::new("ends/batch/powernv10", |setting| batch(setting, &POWERNV10.options)),
        Case::new("ends/guest-panic", guest_panic),
        Case::new("ends/time-out", time_out),
        Case::new("ends/reboot", |setting| reboot(setting, &[], 1)),
        Case::new("ends/reboot/powernv10", |setting| reboot(setting, &POWERNV10.options, 1)),
        Case::new("ends/reboot/cpus-4", |setting| reboot(setting, &FOUR_ON_TWO, 4)),
        Case::new("ends/reboot/powernv10/cpus-4", |setting| {
            reboot(setting, &[&FOUR_ON_TWO[..], &POWERNV10.options].concat(), 4)
        }),
        Case::new("ends/left", left),
    ]
}

/// Four processors of a guest on two of the machine.
const FOUR_ON_TWO: [&str; 4] = ["--cpus", "4", "--host-cpus", "2"];

fn batch(setting: &Setting, machine: &[&str]) -> Result<String> {
    let commands = ["--batch", "echo sum-$((40 + 2)); false"];
    let ended = run(setting, &[&commands[..], machine].concat())?.with_code(0)?;
    ended.printing("sum-42")?.printing("samewise: batch ends with 1")?;
    Ok("commands ran, exit code 0".into())
}

fn guest_panic(setting: &Setting) -> Result<String> {
    run(setting, &["--batch", "echo c > /proc/sysrq-trigger"])?.with_code(10)?;
    Ok("exit code 10".into())
}

fn time_out(setting: &Setting) -> Result<String> {
    run(setting, &["--batch", "sleep 1000", "--timeout", "8"])?.with_code(124)?;
    Ok("exit code 124".into())
}

fn left(setting: &Setting) -> Result<String> {
    let mut session = Session::start(setting, &[])?;
    session.expect(SHELL_READY, BOOT)?;
    session.type_line("\x01x")?;
    session.end()?.with_code(0)?;
    Ok("left by Ctrl-A X".into())
}

/// All processors are there again.
fn reboot(setting: &Setting, machine: &[&str], cpus: u32) -> Result<String> {
    let mut session = Session::start(setting, machine)?;
    session.expect(SHELL_READY, BOOT)?;
    session.command("echo kept > /tmp/mark", BOOT)?;
    session.type_line("reboot")?;
    session.expect(USER_SPACE, BOOT)?;
    session.expect(SHELL_READY, BOOT)?;
    session.command("test ! -e /tmp/mark", BOOT)?;
    session.command(&format!("test $(grep -c ^processor /proc/cpuinfo) = {cpus}"), BOOT)?;
    session.type_line("poweroff")?;
    session.end()?.with_code(0)?;
    Ok("a second shell in the same run".into())
}

//! QEMU's monitor, listened to for one thing: why the machine was shut down.
//!
//! A guest that powers off and a person who leaves with Ctrl-A X both end QEMU with success; only the monitor tells.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(20);

/// Makes QEMU offer its monitor at a socket.
pub fn offer(command: &mut Command, socket: &Path) {
    let path = socket.display().to_string().replace(',', ",,");
    command.arg("-qmp").arg(format!("unix:{path},server=on,wait=off"));
}

/// Listens until QEMU ends (`over` says so if it never answered): whether somebody outside the guest ended it.
pub fn was_left(socket: &Path, over: &AtomicBool) -> bool {
    let Some(mut stream) = connect(socket, over) else { return false };
    let asked = stream.write_all(b"{\"execute\":\"qmp_capabilities\"}\n");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    asked.is_ok() && lines.any(|line| is_leaving(&line))
}

fn connect(socket: &Path, over: &AtomicBool) -> Option<UnixStream> {
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Some(stream),
            Err(_) if over.load(Ordering::Acquire) => return None,
            Err(_) => thread::sleep(POLL),
        }
    }
}

fn is_leaving(line: &str) -> bool {
    let message: Value = serde_json::from_str(line).unwrap_or_default();
    let from_outside = message["data"]["reason"].as_str().is_some_and(|reason| reason.starts_with("host-"));
    message["event"] == "SHUTDOWN" && from_outside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_is_told_from_powering_off() {
        assert!(is_leaving(r#"{"event": "SHUTDOWN", "data": {"guest": false, "reason": "host-qmp-quit"}}"#));
        assert!(!is_leaving(r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}"#));
        assert!(!is_leaving(r#"{"QMP": {"version": {}}}"#));
        assert!(!is_leaving("no JSON"));
    }
}

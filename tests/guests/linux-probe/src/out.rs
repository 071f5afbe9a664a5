//! Lines on standard output. A line is put together first and written at once, so that its arrival marks a moment.

use core::fmt::{self, Write};

use crate::sys;

/// Longer lines lose their end.
const LINE: usize = 256;

/// One line in the making.
struct Line {
    bytes: [u8; LINE],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.length < LINE - 1 {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// Prints one line.
pub fn print(text: fmt::Arguments) {
    let mut line = Line { bytes: [0; LINE], length: 0 };
    let _ = line.write_fmt(text);
    line.bytes[line.length] = b'\n';
    send(&line.bytes[..=line.length]);
}

/// Writes all of it, however small the pieces that the terminal takes.
fn send(mut bytes: &[u8]) {
    while let Ok(sent @ 1..) = sys::write(bytes) {
        bytes = &bytes[sent.min(bytes.len())..];
        if bytes.is_empty() {
            break;
        }
    }
}

/// `println!` for a program without std.
macro_rules! say {
    ($($piece:tt)*) => { $crate::out::print(format_args!($($piece)*)) };
}
pub(crate) use say;

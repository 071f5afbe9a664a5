//! Names that the firmware writes into memory of ours: bounded, and text only once they were looked at.

/// A zero-terminated string of the firmware's.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Name([u8; Name::CAPACITY]);

impl Name {
    /// Bytes that it has room for, the terminating zero included.
    pub const CAPACITY: usize = 256;

    /// An empty name.
    pub const fn new() -> Self {
        Self([0; Self::CAPACITY])
    }

    /// Where it stands, to read.
    pub const fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// Where it stands, to write at most [`CAPACITY`](Self::CAPACITY) bytes.
    pub const fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.0[0] == 0
    }

    /// The bytes before the first zero, or all.
    fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// As text, if it is.
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.bytes()).ok()
    }

    /// What stands behind the last `separator`, or all.
    pub fn after_last(&self, separator: u8) -> Self {
        let bytes = self.bytes();
        let start = bytes.iter().rposition(|&byte| byte == separator).map_or(0, |at| at + 1);
        let mut rest = Self::new();
        rest.0[..bytes.len() - start].copy_from_slice(&bytes[start..]);
        rest
    }
}

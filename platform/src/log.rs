//! x
/// flush
pub fn flush() {}

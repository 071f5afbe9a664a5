//! Messages of the firmware's (skiboot, `opal-api.h`): a word with the kind, a word that means nothing, and parameters of a doubleword each, all big-endian.

/// Bytes of the smallest message: the kind, and eight parameters. A firmware may have larger ones, and says so (`opal-msg-size`).
pub const LEAST_BYTES: u32 = 72;
/// The kind of a message that ends an asynchronous call.
const ASYNC_COMPLETION: u32 = 0;

/// How the asynchronous call with this token ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The caller's name for the call.
    pub token: u64,
    /// The firmware's answer, 0 for success.
    pub code: i64,
}

impl Completion {
    /// Reads a message, given as doublewords as they stand in memory; `None` if it is of another kind, or too short.
    #[must_use]
    pub fn read(message: &[u64]) -> Option<Self> {
        let [head, token, code] = message.first_chunk()?.map(u64::from_be);
        (head >> 32 == u64::from(ASYNC_COMPLETION)).then_some(Self { token, code: code.cast_signed() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_names_its_call_and_its_outcome() {
        let memory = [0, 7, (-23_i64).cast_unsigned(), 99].map(u64::to_be);
        assert_eq!(Completion::read(&memory), Some(Completion { token: 7, code: -23 }));
    }

    #[test]
    fn another_kind_or_too_little_is_no_completion() {
        assert_eq!(Completion::read(&[1 << 32, 7, 0].map(u64::to_be)), None);
        assert_eq!(Completion::read(&[0, 7].map(u64::to_be)), None);
        // The second word means nothing.
        assert_eq!(Completion::read(&[5, 7, 0].map(u64::to_be)), Some(Completion { token: 7, code: 0 }));
    }
}

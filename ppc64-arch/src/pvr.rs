//! Which processor this is (Power ISA 3.1B Book III chapter 4, Processor Version Register).
//!
//! The PVR's high half names the design, its low half the revision. What a design gets wrong is asked for by name here, so
//! that no other file compares version numbers.

/// A processor design that this project knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cpu {
    /// POWER9 (Power ISA 3.0).
    Power9,
    /// POWER10 (Power ISA 3.1).
    Power10,
    /// POWER11 (Power ISA 3.1).
    Power11,
}

/// The value of the Processor Version Register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pvr(u32);

impl Pvr {
    /// The register's value.
    #[must_use]
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// All 32 bits.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The high half: the design.
    #[must_use]
    pub const fn version(self) -> u32 {
        self.0 >> 16
    }

    /// The low half: the revision, in a layout of the design's own.
    #[must_use]
    pub const fn revision(self) -> u32 {
        self.0 & 0xffff
    }

    /// The design, or `None` if it is not one of ours.
    #[must_use]
    pub const fn cpu(self) -> Option<Cpu> {
        match self.version() {
            0x004e => Some(Cpu::Power9),
            0x0080 => Some(Cpu::Power10),
            0x0082 => Some(Cpu::Power11),
            _ => None,
        }
    }
}

impl Cpu {
    /// The marketing name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Power9 => "POWER9",
            Self::Power10 => "POWER10",
            Self::Power11 => "POWER11",
        }
    }

    /// Whether prefixed instructions and the other additions of Power ISA 3.1 exist.
    #[must_use]
    pub const fn is_v31(self) -> bool {
        matches!(self, Self::Power10 | Self::Power11)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_that_qemu_models_are_known() {
        assert_eq!(Pvr::new(0x004e_1202).cpu(), Some(Cpu::Power9));
        assert_eq!(Pvr::new(0x0080_1200).cpu(), Some(Cpu::Power10));
        assert_eq!(Pvr::new(0x0082_1200).cpu(), Some(Cpu::Power11));
        assert_eq!(Pvr::new(0x004d_0200).cpu(), None);
        assert_eq!(Pvr::new(0x004e_1202).revision(), 0x1202);
    }
}

//! Addresses that say whose they are, and the sizes a leaf can have.
//!
//! A guest real address means nothing to the host, and a host real address must never reach a guest: they are different
//! types, and only a memory slot or a table walk turns the one into the other.

use core::fmt;

/// How much memory one leaf entry maps (Power ISA 3.1B Book III 6.7.10, radix tree leaves).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LeafSize {
    /// 4 KiB, the last level of a 13/9/9/9 tree.
    Size4K = 12,
    /// 64 KiB, the last level of a 13/9/9/5 tree.
    Size64K = 16,
    /// 2 MiB, a leaf in place of a last-level table.
    Size2M = 21,
    /// 1 GiB, a leaf one level above.
    Size1G = 30,
}

impl LeafSize {
    /// All sizes, smallest first.
    pub const ALL: [Self; 4] = [Self::Size4K, Self::Size64K, Self::Size2M, Self::Size1G];

    /// log2 of the size in bytes.
    #[must_use]
    #[cfg(not(any(loom, shuttle)))]
    pub const fn shift(self) -> u32 {
        self as u32
    }

    /// log2 of the size in bytes as interleaving models have it: a huge leaf is two or four pages, so that every page of it can be looked at.
    #[must_use]
    #[cfg(any(loom, shuttle))]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Size4K | Self::Size64K => 12,
            Self::Size2M => 13,
            Self::Size1G => 14,
        }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    /// The bits of an address that lie inside one leaf.
    #[must_use]
    pub const fn offset_mask(self) -> u64 {
        self.bytes() - 1
    }

    /// A short name for tables and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size4K => "4k",
            Self::Size64K => "64k",
            Self::Size2M => "2m",
            Self::Size1G => "1g",
        }
    }
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The address with this value.
            #[must_use]
            #[inline]
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// Its value.
            #[must_use]
            #[inline]
            pub const fn raw(self) -> u64 {
                self.0
            }

            /// The address `bytes` further on, or `None` if it would wrap.
            #[must_use]
            #[inline]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }

            /// How far this lies above `base`, or `None` if it lies below.
            #[must_use]
            #[inline]
            pub const fn offset_from(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            /// The start of the naturally aligned block of `size` that this lies in.
            #[must_use]
            #[inline]
            pub const fn align_down(self, size: LeafSize) -> Self {
                Self(self.0 & !size.offset_mask())
            }

            /// The first naturally aligned block of `size` at or above this, or `None` if it would wrap.
            #[must_use]
            #[inline]
            pub const fn align_up(self, size: LeafSize) -> Option<Self> {
                match self.0.checked_add(size.offset_mask()) {
                    Some(raw) => Some(Self(raw & !size.offset_mask())),
                    None => None,
                }
            }

            /// Whether this is a multiple of `size`.
            #[must_use]
            #[inline]
            pub const fn is_aligned(self, size: LeafSize) -> bool {
                self.0 & size.offset_mask() == 0
            }

            /// The offset into the naturally aligned block of `size`.
            #[must_use]
            #[inline]
            pub const fn offset_in(self, size: LeafSize) -> u64 {
                self.0 & size.offset_mask()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// A guest real address: what a guest believes to be real, translated by the partition-scoped tables.
    GuestReal
}
address! {
    /// A host real address: what the hypervisor's memory is reached by.
    HostReal
}
address! {
    /// An effective address: what a program uses, before any translation.
    EffAddr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_block_and_its_offset() {
        for size in LeafSize::ALL {
            let at = GuestReal::new(0x1_2345_6789);
            assert!(at.align_down(size).is_aligned(size));
            assert_eq!(at.align_down(size).raw() + at.offset_in(size), at.raw());
            assert_eq!(at.align_up(size), at.align_down(size).checked_add(size.bytes()));
        }
    }

    #[test]
    fn arithmetic_that_wraps_is_refused() {
        let top = HostReal::new(u64::MAX);
        assert_eq!(top.checked_add(1), None);
        assert_eq!(top.align_up(LeafSize::Size4K), None);
        assert_eq!(HostReal::new(0).offset_from(HostReal::new(1)), None);
    }
}

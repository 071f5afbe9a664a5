//! The options of `scripts/run` that are a choice from a list, and what their values mean to QEMU and the hypervisor.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Platform {
    /// A partition, in which the hypervisor uses nested virtualization
    Pseries,
    /// Bare metal with POWER9
    Powernv9,
    /// Bare metal with POWER10
    Powernv10,
    /// Bare metal as in the POWER10 server Rainier, for self-tests
    Powernv10Rainier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cpu {
    Power9,
    Power10,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Granule {
    #[value(name = "4k")]
    Size4K,
    #[value(name = "64k")]
    Size64K,
    #[value(name = "2m")]
    Size2M,
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mmu {
    Radix,
    Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Firmware {
    /// On pseries, none: the hypervisor stands in its place
    Bios,
    /// On pseries, QEMU's small built-in one
    Vof,
    /// On pseries, the usual one
    Slof,
    /// On powernv, the usual one
    Skiboot,
    /// On powernv, none: the hypervisor stands in its place and has no OPAL
    Bare,
}

impl Platform {
    /// QEMU's name of the machine, and this tool's of the platform.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pseries => "pseries",
            Self::Powernv9 => "powernv9",
            Self::Powernv10 => "powernv10",
            Self::Powernv10Rainier => "powernv10-rainier",
        }
    }

    /// Whether hypervisor mode is ours.
    pub fn is_bare_metal(self) -> bool {
        self != Self::Pseries
    }

    /// I2C devices that QEMU's model of the machine has, as the hypervisor's self-test is told of them.
    pub fn i2c_devices(self) -> Option<&'static str> {
        // On the second port of the third controller: power of PCIe slots.
        (self == Self::Powernv10Rainier).then_some("1e:63:pca9552,1e:25:pca9554")
    }

    /// The processor, where the machine has only one kind.
    pub fn cpu(self) -> Option<Cpu> {
        match self {
            Self::Pseries => None,
            Self::Powernv9 => Some(Cpu::Power9),
            Self::Powernv10 | Self::Powernv10Rainier => Some(Cpu::Power10),
        }
    }
}

impl Firmware {
    /// Whether it belongs to bare metal.
    pub fn is_bare_metal(self) -> bool {
        matches!(self, Self::Skiboot | Self::Bare)
    }

    /// Its word on this tool's command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Vof => "vof",
            Self::Slof => "slof",
            Self::Skiboot => "skiboot",
            Self::Bare => "bare",
        }
    }
}

impl Cpu {
    /// QEMU's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Power9 => "power9",
            Self::Power10 => "power10",
        }
    }
}

impl Granule {
    /// The hypervisor's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size4K => "4k",
            Self::Size64K => "64k",
            Self::Size2M => "2m",
            Self::Auto => "auto",
        }
    }
}

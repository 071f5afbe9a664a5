//! The files a boot is made of: kernels, archives, the hypervisor's flat image.

pub mod archive;
pub mod bundle;
pub mod flat;
pub mod initramfs;
pub mod kernel;

//! The numbers of PAPR (Power Architecture Platform Reference; LoPAR is its public edition), in one place for both of its users: the calls
//! that our guest makes to us ([`crate::guest`]), and those that a platform makes to the hypervisor below. And the reader of the device trees that
//! PAPR machines hand over ([`tree`]).

pub mod hcall;
pub mod rc;
pub mod rtas;
pub mod tree;

pub use rc::Rc;

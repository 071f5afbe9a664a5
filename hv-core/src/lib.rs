//! What a guest is, on any machine: its memory made by its own storage interrupts ([`mmu`]), and the calls, devices and
//! descriptions that a PAPR kernel expects around it ([`guest`], [`papr`]).
//!
//! There is no assembly here. Every effect on hardware goes through a small trait: [`mmu::Hardware`] for what tables need,
//! [`guest::Host`] for what a guest's calls need, [`guest::World`] for running it.
#![cfg_attr(not(test), no_std)]

#[cfg(feature = "guest")]
extern crate alloc;

#[macro_use]
mod log;

#[cfg(feature = "guest")]
mod bridge;
pub mod delays;
#[cfg(feature = "guest")]
pub mod guest;
#[cfg(feature = "hash")]
pub mod hash;
#[cfg(feature = "mmu")]
pub mod mmu;
#[cfg(feature = "guest")]
pub mod papr;
pub mod sync;

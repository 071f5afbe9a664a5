//! OPAL's asynchronous calls as bytes in memory, and an I2C bus over them.
//!
//! | file | what |
//! | --- | --- |
//! | [`message`] | the message that ends an asynchronous call |
//! | [`i2c`] | [`embedded_hal::i2c::I2c`] over OPAL's I2C requests |
//!
//! `platform` builds for one target only and calls the firmware. What can be wrong without one is here, where tests run.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod i2c;
pub mod message;

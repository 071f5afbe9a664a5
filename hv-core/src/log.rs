//! The one place that knows whether there is a log: with the `defmt` feature these macros are defmt's, without it they
//! evaluate nothing.

#[allow(unused_macros, reason = "not every level is used in every configuration")]
macro_rules! info { ($($arg:tt)*) => {{ #[cfg(feature = "defmt")] { defmt::info!($($arg)*); } }}; }
#[allow(unused_macros, reason = "not every level is used in every configuration")]
macro_rules! warning { ($($arg:tt)*) => {{ #[cfg(feature = "defmt")] { defmt::warn!($($arg)*); } }}; }
#[allow(unused_macros, reason = "not every level is used in every configuration")]
macro_rules! error { ($($arg:tt)*) => {{ #[cfg(feature = "defmt")] { defmt::error!($($arg)*); } }}; }
#[allow(unused_macros, reason = "not every level is used in every configuration")]
macro_rules! debug { ($($arg:tt)*) => {{ #[cfg(feature = "defmt")] { defmt::debug!($($arg)*); } }}; }

//! The machine itself: each way in which hardware shows a mistake of its hypervisor is seen here, on tables that are written by hand.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod frames;
mod local;
mod recording;
mod translations;
mod tree;

#![doc = include_str!("../README.md")]

pub mod apache;
mod forwarder;

pub use forwarder::Forwarder;

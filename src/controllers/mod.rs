//! Shells: they watch, take an object through the seven steps, and publish what came of it. Everything that is decided is
//! decided in pure rooms below. They hold a Kubernetes client and cannot tell which API server answers.

pub mod config_maps;
pub mod context;
pub mod deployment;
pub mod describe;
pub mod events;
pub mod host;
pub mod leadership;
mod measured;
pub mod object;
mod publish;
pub mod references;
pub mod ring;
pub mod run;
pub mod secret;
mod streams;
mod teardown;
mod users;
pub mod watched;
pub mod webhook;
pub mod wish;

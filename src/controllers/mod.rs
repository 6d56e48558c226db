//! Shells: they watch, take an object through the seven steps, and publish what came of it. Everything that is decided is
//! decided in pure rooms below. They hold a Kubernetes client and cannot tell which API server answers.

pub mod agents;
pub mod commands;
pub mod config_maps;
pub mod context;
pub mod deployment;
pub mod describe;
pub mod events;
pub mod history;
mod history_watch;
pub mod host;
mod host_words;
pub mod keys;
pub mod leadership;
pub mod looks;
mod measured;
mod memory;
mod moments;
mod neighbours;
pub mod object;
mod publish;
pub mod references;
mod refresh;
pub mod ring;
mod roster;
pub mod run;
pub mod secret;
mod session;
mod streams;
mod teardown;
mod telling;
mod tidy;
mod users;
pub mod watched;
pub mod webhook;
pub mod wish;
mod written;

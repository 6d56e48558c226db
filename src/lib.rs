#![doc = include_str!("../ARCHITECTURE.md")]

pub mod api;
pub mod apiserver;
pub mod clock;
pub mod seal;
pub mod telemetry;
pub mod tls;

pub mod admission;
pub mod audit;
pub mod convert;
pub mod delivery;
pub mod state;

pub mod agent;
pub mod engine;
pub mod plan;
pub mod secrets;
pub mod shelf;

pub mod execute;
pub mod status;

pub mod controllers;

pub mod cli;

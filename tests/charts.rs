//! The charts and what is shipped beside them: what Helm 3 and Helm 4 render, alerts that fire and clear, health in Argo
//! CD, kustomize's names, and a whole life of a release on a real kube-apiserver: installed by the commands of
//! docs/install.md, upgraded, rolled back, its uninstallation refused and then done. Part `charts` of `make conformance`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

#[path = "charts/alerts.rs"]
mod alerts;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "harness/apiserver.rs"]
mod apiserver;
#[path = "charts/engine.rs"]
mod engine;
#[path = "charts/gitops.rs"]
mod gitops;
#[expect(dead_code, reason = "the end-to-end cases use the rest of it")]
mod harness;
#[path = "gitops/health.rs"]
mod health;
#[path = "charts/life.rs"]
mod life;
#[path = "charts/node.rs"]
mod node;
#[path = "charts/render.rs"]
mod render;
#[path = "charts/rights.rs"]
mod rights;

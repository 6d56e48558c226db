//! What both of our TLS servers need, the embedded API server's and the webhooks': certificates as values, the one that
//! is served at the moment, and the rotation of one that clients trust by a bundle. Knows no socket, no file, no
//! Kubernetes and no clock. Used by `apiserver` and `controllers`.

pub mod certificate;
pub mod rotation;
pub mod serving;

//! The embedded control plane: an API server that clients cannot tell from a Kubernetes API server for the resources it
//! advertises. It knows neither Docker nor our kinds: their CRDs come as JSON, as to a cluster.
//! Not a distributed store. Joined with the controllers by `cli` in `standalone`.
//!
//! A request goes `serve` -> `request` -> `authorize` -> `verbs` -> `patch` | `apply` -> `schema` -> `admission` -> `store`;
//! what happened comes back through the store's history to watches and `loops`.

pub mod admission;
pub mod apply;
pub mod authorize;
pub mod discovery;
pub mod documents;
pub mod field_error;
pub mod kinds;
pub mod loops;
pub mod names;
pub mod object;
pub mod openapi;
pub mod patch;
pub mod request;
pub mod response;
pub mod schema;
pub mod selector;
pub mod serve;
pub mod status;
pub mod store;
pub mod table;
pub mod verbs;

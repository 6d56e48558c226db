//! The program that stands beside the containers of one namespace on one host, in a container of its own on their
//! network: it answers for the deployments' names with the addresses of ready replicas (DNS, TTL 0), forwards all other
//! names, and asks http and tcp probes. It is told what there is by the operator ([`protocol`]) over a stream, keeps
//! answering and asking while nobody tells it anything, and knows neither Docker nor Kubernetes. Run by `cli`.

mod desk;
pub mod dns;
pub mod ladder;
pub mod prober;
pub mod protocol;
pub mod roster;
pub mod serve;
pub mod session;

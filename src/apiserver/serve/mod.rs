//! x
//! y
mod certificate; pub mod identity; pub mod kubeconfig; pub mod pki; pub mod private_file;

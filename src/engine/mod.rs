//! The port to a container engine.

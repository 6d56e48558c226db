//! What shape the value of each converted key has: one that has another is wrong input, and no use that goes in silence.
//! Owns the shapes; what is in them is for who converts them. Called by `compose`, `service` and `deploy`.

use super::super::node::Node;
use super::super::read;

/// Keys of a service and of `deploy`, and their shapes.
const SHAPES: &[(&str, Shape)] = &[
    ("configs", Shape::List),
    ("deploy", Shape::Map),
    ("expose", Shape::Texts),
    ("healthcheck", Shape::Map),
    ("image", Shape::Text),
    ("limits", Shape::Map),
    ("links", Shape::Texts),
    ("mode", Shape::Text),
    ("network_mode", Shape::Text),
    ("ports", Shape::List),
    ("privileged", Shape::Truth),
    ("profiles", Shape::Texts),
    ("pull_policy", Shape::Text),
    ("read_only", Shape::Truth),
    ("reservations", Shape::Map),
    ("resources", Shape::Map),
    ("restart", Shape::Text),
    ("restart_policy", Shape::Map),
    ("secrets", Shape::List),
    ("security_opt", Shape::Texts),
    ("tmpfs", Shape::Texts),
    ("update_config", Shape::Map),
    ("user", Shape::Text),
    ("volumes", Shape::List),
    ("working_dir", Shape::Text),
];

#[derive(Clone, Copy)]
enum Shape {
    Text,
    Texts,
    Truth,
    List,
    Map,
}

/// What is wrong with the shape of a value, if anything is.
pub(super) fn problem(key: &str, value: &Node) -> Option<&'static str> {
    let (_, shape) = SHAPES.iter().find(|(name, _)| *name == key)?;
    let (fits, said) = match shape {
        Shape::Text => (value.text().is_some(), "is no text: write one"),
        Shape::Texts => (read::texts(value).is_some(), "is no list of texts: write one"),
        Shape::Truth => (
            read::truth(value).is_some(),
            "is neither true nor false: write one of them",
        ),
        Shape::List => (
            matches!(value, Node::List(_)),
            "is no list: write each entry after a -",
        ),
        Shape::Map => (
            matches!(value, Node::Map(_)),
            "is no map: write keys with values below it",
        ),
    };
    (!fits && *value != Node::Null).then_some(said)
}

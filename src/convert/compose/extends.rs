//! `extends`: a service that takes the keys of another one of the same file.
//! Owns the merge, which is that of Compose: maps are merged, lists are joined, scalars replaced. Files of others are not
//! read, and named. Called by `compose`, before services are looked at.

use super::super::node::Node;
use super::super::report::Report;

/// How many services may extend each other in a row.
const MAX_DEPTH: usize = 16;
/// Lists that are commands, and are replaced.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];

/// Replaces every `extends` by what it means.
pub(super) fn resolve(root: &mut Node, report: &mut Report) {
    let services: Vec<(String, Node)> = root.get("services").map_or(&[][..], Node::entries).to_vec();
    let resolved = services
        .iter()
        .map(|(name, node)| (name.clone(), one(name, node, &services, report, 0)))
        .collect();
    if let Node::Map(map) = root {
        for (_, value) in map
            .iter_mut()
            .filter(|(key, value)| key == "services" && !value.is_idle())
        {
            if let Node::Map(_) = value {
                *value = Node::Map(resolved);
                return;
            }
        }
    }
}

fn one(name: &str, node: &Node, all: &[(String, Node)], report: &mut Report, depth: usize) -> Node {
    let Some(extends) = node.get("extends") else {
        return node.clone();
    };
    let path = format!("services.{name}.extends");
    let rest = without(node);
    if extends.get("file").is_some() {
        report.unmapped(
            path,
            "other files are not read: run `docker compose config --no-interpolate` and convert what it prints",
        );
        return rest;
    }
    let base = extends
        .text()
        .or_else(|| extends.text_at("service"))
        .unwrap_or_default();
    let found = all.iter().find(|(other, _)| *other == *base);
    match found {
        Some((other, found)) if depth < MAX_DEPTH => {
            let base = one(other, found, all, report, depth + 1);
            // What a service waits for or mounts of others is its own.
            merge(base, &rest, "")
        }
        Some(_) => {
            report.wrong(path, "leads in a circle: extend a service that extends no other");
            rest
        }
        None => {
            report.wrong(path, "names no service of this file: correct the name");
            rest
        }
    }
}

fn without(node: &Node) -> Node {
    let entries = node.entries().iter();
    Node::Map(entries.filter(|(key, _)| key != "extends").cloned().collect())
}

fn merge(base: Node, over: &Node, key: &str) -> Node {
    match (base, over) {
        (Node::Map(mut map), Node::Map(entries)) => {
            for (key, value) in entries {
                match map.iter_mut().find(|(name, _)| name == key) {
                    Some((_, slot)) => {
                        let old = std::mem::replace(slot, Node::Null);
                        *slot = merge(old, value, key);
                    }
                    None => map.push((key.clone(), value.clone())),
                }
            }
            Node::Map(map)
        }
        (Node::List(mut list), Node::List(more)) if !REPLACED.contains(&key) => {
            list.extend(
                more.iter()
                    .filter(|item| !list.contains(item))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            Node::List(list)
        }
        (base, Node::Null) => base,
        (_, over) => over.clone(),
    }
}

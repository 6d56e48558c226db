//! The verb `secret diff`: what applying a manifest would do to the keys of the DockerSecrets in it, and which other fields it
//! changes. Shows no value and no envelope. Envelopes of one value differ each time it is sealed, so whether the value does is
//! said only by who may read the key ring, by its fingerprint. Changes nothing. Called by `secret`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::plan_manifest::read;
use super::ring_source::RingArgs;
use super::secret::connect;
use super::secret_manifest::{documents, parse};
use super::{Failure, Outcome, block_on, output};
use crate::api::{DockerSecret, GROUP};
use crate::seal::Envelope;
use crate::secrets::open::Opener;

/// Flags of `secret diff`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the one DockerSecret of the manifest to compare; every one without it
    name: Option<String>,
    /// The manifest, or - for standard input
    #[arg(long, short, value_name = "FILE")]
    filename: PathBuf,
    #[command(flatten)]
    ring: RingArgs,
}

/// Runs the verb. As with `kubectl diff`: 0 without differences, 1 with some, 2 when that cannot be said.
pub(super) fn run(args: &Args, namespace: Option<String>) -> Outcome {
    block_on(diff(args, namespace)).map_err(|failure| match failure {
        Failure::Failed(error) => Failure::Usage(format!("{error:#}")),
        usage @ Failure::Usage(_) => usage,
    })
}

async fn diff(args: &Args, namespace: Option<String>) -> Outcome {
    let place = args.filename.display().to_string();
    let written = secrets(&place, &read(&args.filename)?)?;
    let asked = |secret: &&DockerSecret| args.name.as_ref().is_none_or(|name| *name == secret.name_any());
    let wanted: Vec<&DockerSecret> = written.iter().filter(asked).collect();
    if wanted.is_empty() {
        let what = args.name.as_deref().unwrap_or_default();
        return Err(anyhow!("{place} holds no DockerSecret {what}; give a manifest that does").into());
    }
    let (client, here) = connect(namespace).await?;
    let opener = match args.ring.read(&client).await? {
        Ok(ring) => Some(Opener::new(Arc::new(ring))),
        Err(why) => {
            eprintln!(
                "values are not opened here ({why}): of what was sealed again it is not known whether the value differs"
            );
            None
        }
    };
    let mut differs = false;
    for new in wanted {
        let mut new = new.clone();
        let namespace = new.metadata.namespace.get_or_insert_with(|| here.clone()).clone();
        let (api, name): (Api<DockerSecret>, _) =
            (Api::namespaced(client.clone(), &namespace), new.name_any());
        let old = api.get_opt(&name).await;
        let old = old.with_context(|| format!("the DockerSecret {namespace}/{name} cannot be read"))?;
        let lines = compare(old.as_ref(), &new, opener.as_ref());
        if lines.is_empty() {
            continue;
        }
        differs = true;
        let made = if old.is_none() { " (new)" } else { "" };
        output::data(&format!("{namespace}/{name}{made}\n{}\n", lines.join("\n")))?;
    }
    Ok(ExitCode::from(u8::from(differs)))
}

/// The DockerSecrets of a stream of manifests, also in lists.
fn secrets(place: &str, text: &str) -> Result<Vec<DockerSecret>, Failure> {
    let mut found = Vec::new();
    for document in documents(text) {
        let at = format!("{place}: document {}", document.number);
        let object: Value = parse(&document).map_err(|line| {
            anyhow!("{at}, line {line}: not a manifest that can be read; correct it there")
        })?;
        take(&at, object, &mut found)?;
    }
    Ok(found)
}

fn take(at: &str, mut object: Value, found: &mut Vec<DockerSecret>) -> Result<(), Failure> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    if text("kind") == "List" {
        let items = object.get_mut("items").and_then(Value::as_array_mut);
        for item in items.map(std::mem::take).unwrap_or_default() {
            take(at, item, found)?;
        }
    } else if text("kind") == "DockerSecret" && text("apiVersion").starts_with(&format!("{GROUP}/")) {
        // The error is dropped: it may quote what it found.
        let secret: DockerSecret = serde_json::from_value(object)
            .map_err(|_| anyhow!("{at}: the DockerSecret is not one; check it with `supercargo verify`"))?;
        if secret.metadata.name.is_none() {
            return Err(anyhow!("{at}: the DockerSecret has no metadata.name; give it one").into());
        }
        found.push(secret);
    }
    Ok(())
}

/// One line for each difference, keys first.
fn compare(old: Option<&DockerSecret>, new: &DockerSecret, opener: Option<&Opener>) -> Vec<String> {
    let nothing = DockerSecret::default();
    let old = old.unwrap_or(&nothing);
    let (before, after) = (&old.spec.encrypted_data, &new.spec.encrypted_data);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let key = |key: &String| match (before.get(key), after.get(key)) {
        (None, Some(text)) => Some(format!("+ {key}: sealed to {}", kid(text))),
        (Some(_), None) => Some(format!("- {key}")),
        (Some(one), Some(two)) if one != two => {
            let known = opener.map_or("sealed again", |opener| value(opener, old, new, key));
            Some(format!("~ {key}: {known}{}", keys_of(one, two)))
        }
        (Some(_) | None, _) => None,
    };
    let mut lines: Vec<String> = keys.into_iter().filter_map(key).collect();
    lines.extend(
        fields(old, new)
            .into_iter()
            .map(|field| format!("~ spec.{field}")),
    );
    lines
}

/// Whether the value under a key is another one.
fn value(opener: &Opener, old: &DockerSecret, new: &DockerSecret, key: &str) -> &'static str {
    match (opener.look(old, key), opener.look(new, key)) {
        (Ok(one), Ok(two)) if one.fingerprint == two.fingerprint => "sealed again, the same value",
        (Ok(_), Ok(_)) => "another value",
        (Ok(_), Err(_)) => "sealed again, and the new one does not open here",
        (Err(_), _) => "sealed again, and the old one does not open here",
    }
}

fn keys_of(one: &str, two: &str) -> String {
    let (from, to) = (kid(one), kid(two));
    if from == to {
        return String::new();
    }
    format!(" (key {from} -> {to})")
}

fn kid(text: &str) -> String {
    let envelope = text.parse::<Envelope>().ok();
    envelope.map_or_else(|| "nothing that can be read".to_owned(), |e| e.kid().to_string())
}

/// The other fields of the spec that differ.
fn fields(old: &DockerSecret, new: &DockerSecret) -> Vec<&'static str> {
    let (old, new) = (&old.spec, &new.spec);
    let all = [
        (
            "type",
            old.type_.unwrap_or_default() != new.type_.unwrap_or_default(),
        ),
        (
            "immutable",
            old.immutable.unwrap_or_default() != new.immutable.unwrap_or_default(),
        ),
        ("allowedConsumers", old.allowed_consumers != new.allowed_consumers),
        ("notAfter", old.not_after != new.not_after),
        ("rotateAfter", old.rotate_after != new.rotate_after),
        (
            "stopUse",
            old.stop_use.unwrap_or_default() != new.stop_use.unwrap_or_default(),
        ),
    ];
    all.into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(field, _)| field)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::seal::{Context, Plaintext, Ring, ScopeKind, SystemEntropy, seal};

    fn sealed(ring: &Ring, key: &str, value: &str) -> String {
        let to = ring.public_keys()[0].public().clone();
        let context = Context::at(ScopeKind::Strict, "shop", "db", key).unwrap();
        let value = Plaintext::new(value.as_bytes().to_vec());
        seal(&to, &context, &value, &mut SystemEntropy)
            .unwrap()
            .to_string()
    }

    fn secret(data: Value, more: Value) -> DockerSecret {
        let mut spec = json!({"encryptedData": data});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        serde_json::from_value(json!({
            "apiVersion": "supercargo.dev/v1alpha1", "kind": "DockerSecret",
            "metadata": {"name": "db", "namespace": "shop"}, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn keys_that_come_go_and_change_have_a_line_each_and_no_value() {
        let ring = Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy).unwrap();
        let stays = sealed(&ring, "stays", "hunter2");
        let old = json!({
            "stays": stays, "goes": sealed(&ring, "goes", "x"), "same": sealed(&ring, "same", "hunter2"),
            "other": sealed(&ring, "other", "one"), "moved": sealed(&ring, "moved", "x"),
        });
        let new = json!({
            "stays": stays, "comes": sealed(&ring, "comes", "x"), "same": sealed(&ring, "same", "hunter2"),
            "other": sealed(&ring, "other", "hunter2"), "moved": sealed(&ring, "elsewhere", "x"),
        });
        let old = secret(old, json!({"type": "Opaque"}));
        let new = secret(new, json!({"stopUse": true, "notAfter": "2030-01-01T00:00:00Z"}));
        let opener = Opener::new(Arc::new(ring));
        let lines = compare(Some(&old), &new, Some(&opener));
        let kid = kid(&stays);
        assert_eq!(
            lines,
            [
                &*format!("+ comes: sealed to {kid}"),
                "- goes",
                "~ moved: sealed again, and the new one does not open here",
                "~ other: another value",
                "~ same: sealed again, the same value",
                "~ spec.notAfter",
                "~ spec.stopUse",
            ]
        );
        let unknown = compare(Some(&old), &new, None);
        assert!(
            unknown.contains(&"~ same: sealed again".to_owned()),
            "{unknown:?}"
        );
        assert!(
            unknown.contains(&"~ other: sealed again".to_owned()),
            "{unknown:?}"
        );
        assert_eq!(compare(Some(&old), &old, Some(&opener)), Vec::<String>::new());
        assert_eq!(
            compare(None, &old, None).len(),
            5,
            "one that is new has every key"
        );
    }

    #[test]
    fn another_key_is_named() {
        let rings =
            [(); 2].map(|()| Ring::generate(jiff::Timestamp::UNIX_EPOCH, &mut SystemEntropy).unwrap());
        let texts = rings.each_ref().map(|ring| sealed(ring, "a", "x"));
        let [old, new] = texts.each_ref().map(|text| secret(json!({"a": text}), json!({})));
        let lines = compare(Some(&old), &new, None);
        assert_eq!(
            lines,
            [format!(
                "~ a: sealed again (key {} -> {})",
                kid(&texts[0]),
                kid(&texts[1])
            )]
        );
    }

    #[test]
    fn manifests_are_found_in_lists_and_bad_ones_are_not_quoted() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: supercargo.dev/v1alpha1, kind: DockerSecret, metadata: \
                    {name: db}, spec: {}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: core}\n";
        let found = secrets("-", text).ok().unwrap();
        assert_eq!(found.len(), 1);
        let bad = "apiVersion: supercargo.dev/v1alpha1\nkind: DockerSecret\nmetadata: {name: db}\nspec: {encryptedData: [hunter2]}\n";
        let Failure::Failed(error) = secrets("f.yaml", bad).err().unwrap() else {
            panic!("no usage")
        };
        assert!(!format!("{error:#}").contains("hunter2"));
    }
}

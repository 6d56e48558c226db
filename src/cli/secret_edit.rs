//! The verb `secret edit`: an editor opens on the keys of a DockerSecret, without any value, and what is written behind a
//! key replaces its value. Owns the text that is shown and how it is read back; the editor and the place of the text are
//! `secret_editor`, sealing and writing are `secret_change`. Called by `secret`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::anyhow;
use zeroize::Zeroizing;

use super::keys_source::KeyArgs;
use super::seal::ScopeArg;
use super::seal_manifest::word;
use super::seal_values::{Values, add};
use super::secret::connect;
use super::secret_change::{self, Change, changeable};
use super::secret_editor::{Desk, Edited};
use super::secret_manifest::{Text, documents, parse};
use super::{Failure, Outcome, block_on, output};
use crate::seal::{MAX_VALUE_BYTES, Plaintext};

/// Flags of `secret edit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the DockerSecret
    name: String,
    /// How far the values may travel; without it as the key's present value, and strict for a new key
    #[arg(long, value_enum)]
    scope: Option<ScopeArg>,
    #[command(flatten)]
    to: KeyArgs,
}

/// Runs the verb.
pub(super) fn run(args: &Args, namespace: Option<String>) -> Outcome {
    let name = &args.name;
    let (namespace, keys) = block_on(async {
        let (client, namespace) = connect(namespace).await?;
        let secret = changeable(&client, &namespace, name).await?;
        Ok((
            namespace,
            secret.spec.encrypted_data.into_keys().collect::<Vec<_>>(),
        ))
    })?;
    let place = format!("{namespace}/{name}");
    let Some(values) = written(&place, text(&place, name, &keys))? else {
        eprintln!("nothing was written; the DockerSecret {place} is as it was");
        return Ok(ExitCode::SUCCESS);
    };
    let to = args.to.choose()?;
    block_on(async {
        let (client, namespace) = connect(Some(namespace)).await?;
        let secret = changeable(&client, &namespace, name).await?;
        let change = Change {
            values: &values,
            remove: &[],
            scope: args.scope,
        };
        secret_change::write(&client, &namespace, &secret, Some(&to), &change).await?;
        output::data(&format!("dockersecret.supercargo.dev/{name} edited\n"))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Shows the text until it can be read or is left as it is; what was typed stays in it.
fn written(place: &str, shown: String) -> Result<Option<Values>, Failure> {
    let desk = Desk::make()?;
    let (mut text, mut complaint) = (Zeroizing::new(shown), None::<String>);
    loop {
        let presented = complaint
            .as_ref()
            .map_or_else(|| text.clone(), |why| with_complaint(why, &text));
        match (desk.edit(&presented)?, complaint) {
            (Edited::Same, None) => return Ok(None),
            (Edited::Same, Some(why)) => {
                return Err(anyhow!("{why}; the DockerSecret {place} is as it was").into());
            }
            (Edited::Text(after), _) => match read(&after) {
                Ok(values) => return Ok(Some(values).filter(|values| !values.is_empty())),
                Err(why) => (text, complaint) = (without_complaint(&after), Some(why)),
            },
        }
    }
}

const COMPLAINT: &str = "NOT READ: ";

/// What the editor shows first: keys and no value.
fn text(place: &str, name: &str, keys: &[String]) -> String {
    let mut out = format!(
        "# DockerSecret {place}. Old values are not shown: nothing here can open them.\n\
         # Write a value behind a key to replace it; add a line to add a key. A key that stays empty, or whose line goes, stays\n\
         # as it is. \"\" is the empty value, | begins one of several lines. To take a key away: supercargo secret set {name} --remove KEY\n\
         # Leave without a change to cancel.\n"
    );
    for key in keys {
        out.push_str(&format!("{}:\n", word(key)));
    }
    out
}

fn with_complaint(why: &str, text: &str) -> Zeroizing<String> {
    joined(["# ", COMPLAINT, why, "\n", text].into_iter())
}

fn without_complaint(text: &str) -> Zeroizing<String> {
    let told =
        |line: &&str| line.starts_with("# ") && line.get(2..).is_some_and(|l| l.starts_with(COMPLAINT));
    joined(text.split_inclusive('\n').filter(|line| !told(line)))
}

/// One text in a buffer that does not grow, so that no copy stays behind.
fn joined<'a>(parts: impl Iterator<Item = &'a str> + Clone) -> Zeroizing<String> {
    let length = parts.clone().map(str::len).sum();
    let mut whole = Zeroizing::new(String::with_capacity(length));
    parts.for_each(|part| whole.push_str(part));
    whole
}

/// The values that were written, or why they cannot be read: a line or a key, and nothing of a value.
fn read(text: &str) -> Result<Values, String> {
    let found = documents(text);
    let Some(document) = found.first() else {
        return Ok(Values::new());
    };
    if let Some(second) = found.get(1) {
        return Err(format!(
            "line {}: a second document begins here; take the --- before it out",
            second.line
        ));
    }
    let written: Option<BTreeMap<String, Option<Text>>> = parse(document).map_err(|line| {
        format!("line {line}: this is not `key: value`; put a value with special characters in quotes")
    })?;
    let mut values = Values::new();
    for (key, text) in written.unwrap_or_default() {
        let value = match text {
            None => continue,
            Some(Text::NotText) => {
                return Err(format!("key {key:?}: the value is not text; put it in quotes"));
            }
            Some(Text::Line(value)) => value,
        };
        if value.len() > MAX_VALUE_BYTES {
            return Err(format!(
                "key {key:?}: the value has {} bytes, the limit is {MAX_VALUE_BYTES}",
                value.len()
            ));
        }
        add(&mut values, &key, Plaintext::new(value.as_bytes().to_vec())).map_err(|why| match why {
            Failure::Usage(_) => {
                format!("{key:?} is no key: it has 1 to 253 letters, digits, '-', '_' or '.'")
            }
            Failure::Failed(why) => why.to_string(),
        })?;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, Vec<u8>)> {
        let values = read(text).unwrap();
        values
            .iter()
            .map(|(key, value)| (key.clone(), value.expose().to_vec()))
            .collect()
    }

    #[test]
    fn what_is_shown_changes_nothing_when_it_is_read_back() {
        let keys = ["a", "1", "true", ".dockerconfigjson"].map(str::to_owned);
        assert!(of(&text("shop/db", "db", &keys)).is_empty());
        assert!(of(&text("shop/db", "db", &[])).is_empty());
        assert!(of("").is_empty());
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        let text = "# c\na:\nb: x y # not of it\nc: \"1\"\nd: |\n  one\n  two\ne: \"\"\n\"1\": 'it''s'\n";
        let expected = [
            ("1", "it's"),
            ("b", "x y"),
            ("c", "1"),
            ("d", "one\ntwo\n"),
            ("e", ""),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec()))
            .collect();
        assert_eq!(of(text), expected);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_not_repeated() {
        for (text, named) in [
            ("a: hunter2\n  hunter2: [\n", "line"),
            ("hunter2\n", "line"),
            ("a: 123456\n", "\"a\""),
            ("a: {hunter2: 1}\n", "\"a\""),
            ("a: [hunter2]\n", "\"a\""),
            ("a b: hunter2\n", "\"a b\""),
            ("a: x\n---\nb: hunter2\n", "line 3"),
            ("a: hunter2\na: hunter2\n", "line"),
        ] {
            let Err(why) = read(text) else {
                panic!("read {text}")
            };
            assert!(why.contains(named), "{text}: {why}");
            assert!(!why.contains("hunter2") && !why.contains("123456"), "{why}");
        }
    }

    #[test]
    fn a_complaint_is_told_once() {
        let told = format!("# {COMPLAINT}line 3: x\n# c\na: 1\n");
        assert_eq!(without_complaint(&told).as_str(), "# c\na: 1\n");
    }
}

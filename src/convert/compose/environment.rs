//! Variables of a service: `env_file` first, `environment` over it, names alone from where the conversion runs.
//! Owns what wins; a value becomes text or a sealed one in `variables`. Called by `service`.

use zeroize::Zeroizing;

use super::super::node::Node;
use super::super::variables::{Plain, variable};
use super::super::{dotenv, read};
use super::service::Service;
use super::unmapped;

/// Name, value, and the key that it is from.
type Found = Vec<(String, Zeroizing<String>, &'static str)>;

impl Service<'_> {
    /// Converts all variables, in the order in which they are written.
    pub(super) fn environment(&mut self) {
        let mut found = Found::new();
        if let Some(files) = self.node.get("env_file") {
            let single = std::slice::from_ref(files);
            let files = if let Node::List(list) = files {
                list
            } else {
                single
            };
            for (index, file) in files.iter().enumerate() {
                self.env_file(&format!("env_file[{index}]"), file, &mut found);
            }
        }
        if let Some(written) = self.node.get("environment") {
            match read::pairs(written) {
                Some(pairs) => self.add(pairs, "environment", &mut found),
                None => self.wrong(
                    "environment",
                    "is neither a map of scalars nor a list of NAME=VALUE",
                ),
            }
        }
        for (name, value, key) in found {
            let plain = Plain {
                path: self.at(&format!("{key}.{name}")),
                name: &name,
                value,
            };
            let variable = variable(plain, &mut self.sealed, self.project.options, self.report);
            self.container.env.push(variable);
        }
    }

    /// What has no value takes that of the environment, and is left out when it is not there either.
    fn add(&mut self, pairs: dotenv::Variables, key: &'static str, found: &mut Found) {
        for (name, value) in pairs {
            found.retain(|(other, ..)| *other != name);
            match value.or_else(|| self.project.options.around.variable(&name)) {
                Some(value) => found.push((name, value, key)),
                None => self.differs(
                    &format!("{key}.{name}"),
                    "has no value and is not set where this runs: it is left out, as with Compose",
                ),
            }
        }
    }

    fn env_file(&mut self, key: &str, file: &Node, found: &mut Found) {
        let (path, required, raw) = match file {
            Node::Map(_) => {
                let at = self.at(key);
                unmapped::others(&at, file, &["path", "required", "format"], self.report);
                (
                    file.text_at("path"),
                    file.get("required").and_then(read::truth) != Some(false),
                    file.text_at("format")
                        .is_some_and(|format| format.as_str() == "raw"),
                )
            }
            other => (other.text(), true, false),
        };
        let Some(path) = path else {
            return self.wrong(key, "has no path: name the file");
        };
        let around = self.project.options.around;
        let bytes = match around.file(&self.project.path(&path)) {
            Ok(bytes) => bytes,
            Err(_) if !required => return self.differs(key, "is not there and not required: left out"),
            Err(why) => return self.wrong(key, format!("{} cannot be read ({why})", path.as_str())),
        };
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return self.wrong(key, format!("{} is not UTF-8 text", path.as_str()));
        };
        match dotenv::read(text, raw, &|name| around.variable(name)) {
            Ok(pairs) => self.add(pairs, "env_file", found),
            Err(problem) => self.wrong(key, format!("{}, {problem}", path.as_str())),
        }
    }
}

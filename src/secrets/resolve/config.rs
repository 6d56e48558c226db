//! The references of a deployment to ConfigMaps: plain values, kept with fingerprints of their own, because a changed one
//! rolls out as a changed secret does. A failure here is a problem of configuration, not of a secret.
//! Called by [`super`] only.

use super::Walk;
use crate::{
    secrets::{open::key_not_found, source::Lookup},
    state::{hash, resolved::Problem, revision::CONFIG_MAP_PREFIX},
};

impl Walk<'_> {
    pub(super) fn config_key(&mut self, name: &str, key: &str, optional: bool, variable: &str, path: &str) {
        let map = match self.source.config_map(self.namespace, name) {
            Lookup::Found(map) => map,
            Lookup::Absent if optional => return,
            Lookup::Absent => return self.config_missing(name, path),
            Lookup::Denied(why) => return self.config_problem(path, why),
        };
        match map.data.as_ref().and_then(|data| data.get(key)) {
            Some(value) => self.config_value(name, key, variable, value),
            None if optional => {}
            None => {
                let keys: Vec<String> = map.data.iter().flatten().map(|(k, _)| k.clone()).collect();
                self.config_no_key(name, key, &keys, path);
            }
        }
    }

    pub(super) fn config_all(&mut self, name: &str, optional: bool, prefix: &str, path: &str) {
        let map = match self.source.config_map(self.namespace, name) {
            Lookup::Found(map) => map,
            Lookup::Absent if optional => return,
            Lookup::Absent => return self.config_missing(name, path),
            Lookup::Denied(why) => return self.config_problem(path, why),
        };
        for (key, value) in map.data.iter().flatten() {
            let variable = format!("{prefix}{key}");
            if let Some(advice) = self.env.refuses_import(&variable, path) {
                self.out.invalid.push(Problem {
                    path: path.to_owned(),
                    message: advice,
                });
                continue;
            }
            self.env.imported(&variable, path);
            self.config_value(name, key, &variable, value);
        }
    }

    fn config_value(&mut self, name: &str, key: &str, variable: &str, value: &str) {
        self.fingerprints.insert(
            format!("{CONFIG_MAP_PREFIX}{name}/{key}"),
            hash::hex(&[value], 16),
        );
        self.env.set_plain(variable, value.to_owned());
    }

    pub(super) fn config_no_key(&mut self, name: &str, key: &str, keys: &[String], path: &str) {
        let advice = key_not_found(keys.iter(), "add it to the ConfigMap").advice;
        let message = format!("ConfigMap {}/{name} has no key {key:?}; {advice}", self.namespace);
        self.config_problem(path, message);
    }

    pub(super) fn config_missing(&mut self, name: &str, path: &str) {
        let message = format!(
            "ConfigMap {}/{name} does not exist; create it or correct the name",
            self.namespace
        );
        self.config_problem(path, message);
    }

    pub(super) fn config_problem(&mut self, path: &str, message: String) {
        self.out.config.push(Problem {
            path: path.to_owned(),
            message,
        });
    }
}

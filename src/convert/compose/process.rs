//! The process of a service: what it runs, as whom, with which rights and labels, and when it is started again.
//! Owns these keys; limits are in `deploy`, variables in `environment`. Called by `service`.

use super::super::node::Node;
use super::super::read;
use super::service::Service;
use crate::api::{Capabilities, SecurityContext};

impl Service<'_> {
    /// Whether the key is one of these.
    pub(super) fn process(&mut self, key: &str, value: &Node) -> bool {
        match key {
            "command" => self.container.args = self.line(key, value),
            "entrypoint" => {
                self.container.command = self.line(key, value);
                if self.container.command.is_empty() {
                    self.unmapped(key, "an empty entrypoint means the image's: name the program to run");
                }
            }
            "working_dir" => {
                self.container.working_dir = value.text().map(|text| text.as_str().to_owned());
            }
            "stop_grace_period" => self.grace(value),
            "restart" => self.restart(value),
            "labels" => self.labels(key, value),
            "container_name" => self.differs(
                key,
                "a container has the name of its instance: the deployment's name leads to it, `supercargo logs` knows it",
            ),
            "init" => {
                if !value.is_idle() {
                    self.unmapped(key, "nothing is put before the process: use an image whose entrypoint reaps children");
                }
            }
            _ => return false,
        }
        true
    }

    /// A command line, as a list or as a text that is split.
    fn line(&mut self, key: &str, value: &Node) -> Vec<String> {
        let words = match value {
            Node::List(_) => {
                read::texts(value).map(|words| words.iter().map(|word| word.as_str().to_owned()).collect())
            }
            other => other.text().and_then(|line| read::words(&line)),
        };
        let Some(words) = words else {
            self.wrong(
                key,
                "is no command line: write a list of texts, or one text whose quotes are closed",
            );
            return Vec::new();
        };
        words.iter().map(|word: &String| read::literal(word)).collect()
    }

    fn grace(&mut self, value: &Node) {
        match value.text().and_then(|text| read::seconds(&text, 0)) {
            Some((seconds, exact)) => {
                self.pod.termination_grace_period_seconds = Some(i64::from(seconds));
                if !exact {
                    self.differs(
                        "stop_grace_period",
                        format!("is {seconds} s: whole seconds, rounded up"),
                    );
                }
            }
            None => self.wrong(
                "stop_grace_period",
                "is no duration: write one such as 10s or 1m30s",
            ),
        }
    }

    fn restart(&mut self, value: &Node) {
        let text = value.text().unwrap_or_default();
        match text.as_str() {
            "always" => {}
            "unless-stopped" => self.differs(
                "restart",
                "who stops a container by hand sees it start again: scale to 0 instead",
            ),
            "false" | "no" => self.differs(
                "restart",
                "what ends is started again, with ever longer waits: a program that is to run once is no deployment",
            ),
            other if other.starts_with("on-failure") => self.differs(
                "restart",
                "what ends is started again whatever its exit code, and as often as it ends, with ever longer waits",
            ),
            _ => self.wrong("restart", "is none of always, unless-stopped, on-failure and \"no\""),
        }
    }

    /// Labels of the containers. What Kubernetes does not take as a label's value becomes an annotation.
    pub(super) fn labels(&mut self, key: &str, value: &Node) {
        let Some(pairs) = read::pairs(value) else {
            return self.wrong(key, "is neither a map nor a list of NAME=VALUE");
        };
        for (name, text) in pairs {
            let text = text.unwrap_or_default();
            let path = format!("{key}.{name}");
            if !is_label_key(&name) {
                self.unmapped(&path, "is no key that Kubernetes takes: use at most 63 letters, digits and - _ . after an optional DNS name and /");
            } else if is_label_value(&text) {
                self.metadata.labels.insert(name, text.as_str().to_owned());
            } else {
                self.differs(
                    &path,
                    "its value is none that Kubernetes takes for a label: it is an annotation, and no label of the container",
                );
                self.metadata.annotations.insert(name, text.as_str().to_owned());
            }
        }
    }

    /// Whether the key is one of user and rights.
    pub(super) fn security(&mut self, key: &str, value: &Node) -> bool {
        match key {
            "user" => self.user(value),
            "read_only" => {
                self.context().read_only_root_filesystem = read::truth(value).filter(|truth| *truth);
            }
            "privileged" => {
                if read::truth(value) == Some(true) {
                    self.context().privileged = Some(true);
                    self.needs(key, "an operator that is started with --allow-privileged");
                }
            }
            "cap_add" | "cap_drop" => self.capabilities(key, value),
            "security_opt" => self.security_opt(value),
            _ => return false,
        }
        true
    }

    fn needs(&mut self, key: &str, text: impl Into<String>) {
        self.report.needs(self.at(key), text);
    }

    fn context(&mut self) -> &mut SecurityContext {
        self.container.security_context.get_or_insert_default()
    }

    fn user(&mut self, value: &Node) {
        let text = value.text().unwrap_or_default();
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text.as_str(), None),
        };
        let Ok(id) = user.parse() else {
            return self.unmapped(
                "user",
                "users have numbers here: write the uid, as `id -u` in the image says it",
            );
        };
        self.context().run_as_user = Some(id);
        match group.map(str::parse) {
            None => {}
            Some(Ok(id)) => self.context().run_as_group = Some(id),
            Some(Err(_)) => self.unmapped(
                "user",
                "groups have numbers here: write the gid, as `id -g` in the image says it",
            ),
        }
    }

    fn capabilities(&mut self, key: &str, value: &Node) {
        let Some(names) = read::texts(value) else {
            return self.wrong(key, "is no list of capabilities");
        };
        let names: Vec<String> = names
            .iter()
            .map(|name| name.to_uppercase().trim_start_matches("CAP_").to_owned())
            .collect();
        if key == "cap_add" {
            for name in &names {
                self.needs(
                    key,
                    format!("an operator that is started with --allow-capability {name}"),
                );
            }
        }
        let both: &mut Capabilities = self.context().capabilities.get_or_insert_default();
        if key == "cap_add" {
            both.add = names;
        } else {
            both.drop = names;
        }
    }

    fn security_opt(&mut self, value: &Node) {
        for option in read::texts(value).unwrap_or_default() {
            match option.as_str() {
                "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true" => {
                    self.context().allow_privilege_escalation = Some(false);
                }
                "no-new-privileges:false" | "no-new-privileges=false" => {}
                _ => self.unmapped(
                    "security_opt",
                    "the engine's own profiles apply, and no-new-privileges: remove the others",
                ),
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
        && text.starts_with(edge)
        && text.ends_with(edge)
}

fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => !prefix.is_empty() && prefix.to_ascii_lowercase() == prefix && is_name(name),
        None => is_name(text),
    }
}

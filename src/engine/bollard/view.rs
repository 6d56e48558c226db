//! What an inspect says, reduced to a [`ContainerView`]. Has a model of its own instead of bollard's, because bollard's
//! holds the container's environment (and logs the whole answer at debug level); this one never reads it. Any field may
//! be absent or null: engines of ten years answer. Called by `containers`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::state::container::{Attachment, ContainerId, ContainerView, ExitInfo, Limits, RunState};

/// An answer to an inspect.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspect {
    id: String,
    name: Option<String>,
    created: Option<String>,
    image: Option<String>,
    state: State,
    config: Option<Config>,
    host_config: Option<Host>,
    network_settings: Option<NetworkSettings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    exit_code: Option<i64>,
    #[serde(rename = "OOMKilled")]
    oom_killed: Option<bool>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Host {
    memory: Option<i64>,
    memory_swap: Option<i64>,
    nano_cpus: Option<i64>,
    restart_policy: Option<Restart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Restart {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Option<Place>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    aliases: Option<Vec<String>>,
    #[serde(rename = "IPAddress")]
    ip_address: Option<String>,
    #[serde(rename = "NetworkID")]
    network_id: Option<String>,
}

impl Inspect {
    /// Whether this answers a question for that id or name. The engine also matches the beginning of an id, so a name
    /// such as `cafe` may be answered with a stranger.
    pub(super) fn answers(&self, id_or_name: &str) -> bool {
        self.id == id_or_name
            || self.name.as_deref().map(|name| name.trim_start_matches('/')) == Some(id_or_name)
    }

    /// The view, or what is wrong with the answer.
    pub(super) fn view(self) -> Result<ContainerView, String> {
        let state = run_state(&self.state.status)?;
        let host = self.host_config.unwrap_or_default();
        let config = self.config.unwrap_or_default();
        let limits = Limits {
            memory: host.memory.filter(|n| *n > 0),
            nano_cpus: host.nano_cpus.filter(|n| *n > 0),
        };
        let networks = self
            .network_settings
            .and_then(|settings| settings.networks)
            .unwrap_or_default();
        Ok(ContainerView {
            name: self.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            image: config.image.unwrap_or_default(),
            image_id: self.image.unwrap_or_default(),
            labels: config.labels.unwrap_or_default(),
            state,
            created_at: time(self.created.as_deref())?.unwrap_or_default(),
            started_at: time(self.state.started_at.as_deref())?,
            exit: self.state.exit(state)?,
            limits,
            swap_bounded: limits.memory.is_none() || host.memory_swap == limits.memory,
            restart_policy: restart_policy(host.restart_policy),
            networks: networks
                .into_iter()
                .map(|(name, place)| (name, attachment(&self.id, place.unwrap_or_default())))
                .collect(),
            id: ContainerId::new(self.id),
        })
    }
}

impl State {
    /// How it ended, if it has run and has ended. A start that failed leaves the end of the run before, but
    /// for an exit code of 0, which becomes 128; after no run it leaves none.
    fn exit(&self, state: RunState) -> Result<Option<ExitInfo>, String> {
        let ended = matches!(state, RunState::Exited | RunState::Dead | RunState::Removing);
        let finished_at = time(self.finished_at.as_deref())?.filter(|_| ended);
        Ok(finished_at.map(|finished_at| ExitInfo {
            code: self.exit_code.unwrap_or_default(),
            oom_killed: self.oom_killed.unwrap_or_default(),
            finished_at,
        }))
    }
}

fn run_state(word: &str) -> Result<RunState, String> {
    Ok(match word {
        "created" => RunState::Created,
        "running" => RunState::Running,
        "paused" => RunState::Paused,
        "restarting" => RunState::Restarting,
        "removing" => RunState::Removing,
        "exited" => RunState::Exited,
        "dead" => RunState::Dead,
        other => return Err(format!("unknown container state {other:?}")),
    })
}

/// A time; the engine's zero (`0001-01-01T00:00:00Z`) is none.
fn time(text: Option<&str>) -> Result<Option<Timestamp>, String> {
    match text {
        None | Some("") => Ok(None),
        Some(text) if text.starts_with("0001-01-01T") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{text:?} is not a time")),
    }
}

/// `no` also where the engine leaves it out or empty.
fn restart_policy(policy: Option<Restart>) -> String {
    policy
        .and_then(|policy| policy.name)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "no".to_owned())
}

/// 20.10 to 24 add the first 12 digits of the id to the aliases on every user-defined network.
fn attachment(id: &str, place: Place) -> Attachment {
    let own = id.get(..12).unwrap_or(id);
    let aliases = place
        .aliases
        .unwrap_or_default()
        .into_iter()
        .filter(|alias| alias != own)
        .collect();
    Attachment {
        aliases,
        ip: place.ip_address.unwrap_or_default(),
        network_id: place.network_id.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_hardly_a_field_is_a_view() {
        let inspect: Inspect = serde_json::from_str(
            r#"{"Id":"ab","State":{"Status":"created","FinishedAt":"0001-01-01T00:00:00Z","ExitCode":128},
                "NetworkSettings":{"Networks":{"n":null}},"Config":{"Labels":null,"Env":["A=b"]}}"#,
        )
        .unwrap();
        assert!(inspect.answers("ab") && !inspect.answers("a"));
        let view = inspect.view().unwrap();
        assert_eq!(
            (view.state, view.exit, view.started_at),
            (RunState::Created, None, None)
        );
        assert_eq!((view.swap_bounded, view.restart_policy.as_str()), (true, "no"));
        assert_eq!(view.networks["n"], Attachment::default());
    }

    #[test]
    fn the_exit_of_the_run_before_is_not_that_of_a_running_container() {
        let text = |status: &str| {
            format!(
                r#"{{"Id":"ab","State":{{"Status":"{status}","ExitCode":0,"FinishedAt":"2026-01-02T03:04:05.123456789Z"}}}}"#
            )
        };
        let view = |status| serde_json::from_str::<Inspect>(&text(status)).unwrap().view();
        assert_eq!(view("running").unwrap().exit, None);
        assert_eq!(
            view("exited").unwrap().exit.unwrap().finished_at.to_string(),
            "2026-01-02T03:04:05.123456789Z"
        );
        assert!(view("dancing").unwrap_err().contains("dancing"));
    }
}

//! The flags of `logs`: which deployment, which part of its instances' output, and how to print it. Reads text only.
//! Called by `logs`.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::connect::DockerArgs;

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A DockerDeployment: NAME or deployment/NAME
    #[arg(value_name = "NAME", value_parser = deployment)]
    pub(super) name: String,
    /// Namespace; without it that of the current context
    #[arg(long, short)]
    pub(super) namespace: Option<String>,
    /// Go on with what comes, also from instances that come later
    #[arg(long, short)]
    pub(super) follow: bool,
    /// Only that many last lines of each instance
    #[arg(long, value_name = "LINES")]
    pub(super) tail: Option<u64>,
    /// Only what was written in this time, such as 90s, 5m or 1h30m, or since a time such as 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME", value_parser = Since::from_str)]
    pub(super) since: Option<Since>,
    /// Put the time before each line
    #[arg(long)]
    pub(super) timestamps: bool,
    /// Put the instance's name before each line, as is done anyway where there are several
    #[arg(long, visible_alias = "all-instances")]
    pub(super) prefix: bool,
    /// Only this instance: a container's name, its id, or NAME-0 for the first replica
    #[arg(long, value_name = "INSTANCE")]
    pub(super) instance: Option<String>,
    #[command(flatten)]
    pub(super) docker: DockerArgs,
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// That long ago.
    Ago(SignedDuration),
    /// From that time on.
    At(Timestamp),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        match text.parse::<SignedDuration>() {
            Ok(ago) if !ago.is_negative() => Ok(Self::Ago(ago)),
            _ => Err("not a time; write 90s, 5m, 1h30m or 2026-01-02T03:04:05Z".to_owned()),
        }
    }
}

impl Since {
    /// The time itself.
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => now
                .checked_sub(ago)
                .unwrap_or(Timestamp::UNIX_EPOCH)
                .max(Timestamp::UNIX_EPOCH),
            Self::At(at) => at,
        }
    }
}

/// The name out of `NAME` or `deployment/NAME`.
pub(super) fn deployment(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        None => text,
        Some((kind, name)) => match kind.split('.').next().unwrap_or_default() {
            "deployment" | "deployments" | "deploy" | "dockerdeployment" | "dockerdeployments" | "ddep" => {
                name
            }
            _ => return Err(format!("{kind} has no instances; write NAME or deployment/NAME")),
        },
    };
    if name.is_empty() || name.contains('/') {
        return Err("write NAME or deployment/NAME".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_named_in_every_usual_way() {
        for text in [
            "web",
            "deployment/web",
            "ddep/web",
            "dockerdeployments.supercargo.dev/web",
        ] {
            assert_eq!(deployment(text).as_deref(), Ok("web"), "{text}");
        }
        for text in ["", "pod/web", "deployment/", "deployment/a/b"] {
            assert!(deployment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn since_is_an_age_or_a_time() {
        let now: Timestamp = "2026-01-02T00:10:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Since>().map(|since| since.at(now).to_string());
        assert_eq!(at("5m").as_deref(), Ok("2026-01-02T00:05:00Z"));
        assert_eq!(at("90s").as_deref(), Ok("2026-01-02T00:08:30Z"));
        assert_eq!(at("1h30m").as_deref(), Ok("2026-01-01T22:40:00Z"));
        assert_eq!(at("2026-01-01T00:00:00Z").as_deref(), Ok("2026-01-01T00:00:00Z"));
        for text in ["", "5", "yesterday", "-5m"] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}

//! What is wanted and not done now, as data: why, under which reason people are told, and when to look again. Part of a
//! [`super::Plan`]; decided by the other files of this room.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{api::condition::Reason, state::desired::Blocked};

/// Something that is wanted and deliberately not done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "hold")]
pub enum Hold {
    /// New containers wait.
    Blocked {
        /// For what.
        why: Blocked,
    },
    /// The rollout waits, as `spec.paused` says.
    Paused,
    /// A replica ended and is started again later.
    BackOff {
        /// Its place.
        slot: u32,
        /// When.
        until: Timestamp,
    },
    /// A pull failed and is tried again later.
    PullBackOff {
        /// When.
        until: Timestamp,
    },
    /// An image is being fetched.
    Pulling,
    /// The policy forbids fetching an image that the engine does not have.
    ImageAbsent,
    /// The next replica waits until this one is available.
    Waiting {
        /// Its place.
        slot: u32,
        /// When it will be, if it goes on running.
        until: Option<Timestamp>,
    },
    /// Old replicas end before new ones come.
    Draining,
    /// A replica that is to end is taken out of the deployment's names first.
    Withdrawing {
        /// Its place.
        slot: u32,
        /// When it will have been out for long enough; not known before the agent has confirmed it.
        until: Option<Timestamp>,
    },
    /// No subnet of the pool is free.
    NoSubnet,
    /// Files are being delivered first.
    Delivering,
    /// The files that a replica was given are gone, and nothing says what stood in them.
    FilesLost {
        /// Its place.
        slot: u32,
    },
}

impl Hold {
    /// The reason under which people are told, for those holds that are somebody's problem.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Blocked { why } => Some(match why {
                Blocked::SecretsUnresolved => Reason::SecretResolutionError,
                Blocked::ConfigUnresolved => Reason::ConfigResolutionError,
                Blocked::InvalidSpec => Reason::InvalidSpec,
                Blocked::PolicyViolation => Reason::PolicyViolation,
            }),
            Self::BackOff { .. } => Some(Reason::BackOff),
            Self::PullBackOff { .. } | Self::ImageAbsent => Some(Reason::ImagePullError),
            Self::NoSubnet => Some(Reason::NetworkUnavailable),
            Self::FilesLost { .. } => Some(Reason::SecretDeliveryError),
            Self::Paused
            | Self::Pulling
            | Self::Delivering
            | Self::Waiting { .. }
            | Self::Draining
            | Self::Withdrawing { .. } => None,
        }
    }

    /// When to look again, for those holds that end by themselves.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::BackOff { until, .. } | Self::PullBackOff { until } => Some(*until),
            Self::Waiting { until, .. } | Self::Withdrawing { until, .. } => *until,
            Self::Blocked { .. }
            | Self::Paused
            | Self::Pulling
            | Self::ImageAbsent
            | Self::Draining
            | Self::Delivering
            | Self::FilesLost { .. }
            | Self::NoSubnet => None,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked { why } => write!(f, "hold new containers ({why:?})"),
            Self::Paused => f.write_str("hold the rollout (paused)"),
            Self::BackOff { slot, until } => write!(f, "hold the restart of replica {slot} until {until}"),
            Self::PullBackOff { until } => write!(f, "hold the pull until {until}"),
            Self::Pulling => f.write_str("wait for the image"),
            Self::ImageAbsent => f.write_str("hold new containers (image absent, policy Never)"),
            Self::Waiting { slot, .. } => write!(f, "wait until replica {slot} is available"),
            Self::Withdrawing { slot, .. } => write!(f, "wait until nobody is sent to replica {slot}"),
            Self::Draining => f.write_str("wait until the old replicas have ended"),
            Self::Delivering => f.write_str("wait until files are delivered"),
            Self::FilesLost { slot } => write!(f, "hold the restart of replica {slot} (its files are gone)"),
            Self::NoSubnet => f.write_str("hold new containers (no free subnet in the pool)"),
        }
    }
}

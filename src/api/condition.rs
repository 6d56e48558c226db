//! The closed sets of words that conditions, events and metrics share: types, reasons, causes.
//! Owns the words and which of them warn; when they apply is decided by `plan` and `status`.
//! Used by every room that can fail or report.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares an enum whose variants are their own names.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every word, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as users see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| UnknownWord(text.to_owned()))
            }
        }
    };
}

/// A word that is not in the closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of the known words")]
pub struct UnknownWord(pub String);

words! {
    /// The aspects that conditions report on.
    ConditionType {
        /// Everything that was asked for runs and is ready. Always present on a deployment.
        Ready,
        /// Work is going on. Present only while true.
        Reconciling,
        /// Only a change of the spec helps. Present only while true.
        Stalled,
        /// Enough instances are available.
        Available,
        /// A rollout moves on.
        Progressing,
        /// Every reference to a secret was resolved.
        SecretsResolved,
        /// Every value has reached its containers.
        SecretsDelivered,
        /// The host's engine answers.
        HostReachable,
        /// Of a secret: every value can be opened.
        Valid,
        /// Of a secret: every value is sealed with the primary key.
        KeyCurrent,
        /// Of a secret: a deployment uses it.
        InUse,
        /// Of a secret: its date comes near.
        ExpiringSoon,
    }
}

words! {
    /// Why: the reason of conditions and events and the label of metrics.
    Reason {
        /// A reference to a secret could not be resolved; see [`Cause`].
        SecretResolutionError,
        /// A resolved value could not be delivered.
        SecretDeliveryError,
        /// A reference to a ConfigMap or a field could not be resolved.
        ConfigResolutionError,
        /// The image could not be pulled.
        ImagePullError,
        /// The container ends again and again; the next start waits.
        BackOff,
        /// The container is not healthy.
        Unhealthy,
        /// The kernel ended the container: it needed more memory than its limit.
        OOMKilled,
        /// A host port is taken.
        PortConflict,
        /// The spec cannot be acted upon.
        InvalidSpec,
        /// A rollout made no progress within its deadline.
        ProgressDeadlineExceeded,
        /// The host's engine does not answer.
        HostUnreachable,
        /// A container that is not ours has the name that ours needs.
        ForeignContainer,
        /// The namespace's network could not be made.
        NetworkUnavailable,
        /// The spec asks for what the operator does not permit.
        PolicyViolation,
        /// The host has too little of something.
        InsufficientResources,
        /// A value expires soon.
        SecretExpiring,
        /// A value has expired.
        SecretExpired,
        /// The key to which values are sealed is old (on the ConfigMap of public keys).
        KeyRenewalDue,
        /// A value cannot be opened (on the secret).
        DecryptionError,
        /// An image is being pulled.
        Pulling,
        /// An image was pulled.
        Pulled,
        /// A container was created.
        Created,
        /// A container was started.
        Started,
        /// A container is being stopped.
        Killing,
        /// The number of instances was changed.
        Scaled,
        /// A rollout began.
        RolloutStarted,
        /// A rollout is complete.
        RolloutComplete,
        /// A new value of a secret is rolled out.
        SecretRotated,
        /// A new value of a secret was delivered in place.
        SecretRefreshed,
        /// All references to secrets are resolved.
        SecretsResolved,
        /// Every instance sees its files.
        SecretsDelivered,
    }
}

words! {
    /// What is wrong with a reference to a secret.
    Cause {
        /// There is no such secret.
        SecretNotFound,
        /// The secret has no such key.
        KeyNotFound,
        /// The secret does not list this consumer.
        ConsumerNotAllowed,
        /// The secret of another namespace does not consent.
        ConsentMissing,
        /// The operator may not read it.
        AccessDenied,
        /// It is sealed with a key that the ring does not have.
        UnknownKeyId,
        /// It is sealed with a key that was revoked.
        KeyRevoked,
        /// There is no key ring to open it with.
        KeyRingUnavailable,
        /// It was sealed for another name, namespace or key.
        ScopeMismatch,
        /// It was altered, or does not belong to this key.
        IntegrityError,
        /// It is not an envelope.
        MalformedEnvelope,
        /// It is of a version or suite that this program does not know.
        UnsupportedEnvelope,
        /// It is larger than the limit.
        ValueTooLarge,
        /// Its date has passed.
        Expired,
        /// Its key is not the name of an environment variable.
        InvalidEnvName,
        /// The value cannot be an environment variable: it is not text, or contains a NUL byte.
        InvalidEnvValue,
        /// It is not a registry credential.
        InvalidPullCredential,
    }
}

impl Reason {
    /// Whether an event with this reason warns (`type: Warning`) or informs (`type: Normal`).
    #[must_use]
    pub const fn is_warning(self) -> bool {
        (self as usize) <= (Self::DecryptionError as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_their_own_names_and_parse_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
        }
        assert_eq!(Cause::ALL.len(), 17);
        assert_eq!(Reason::OOMKilled.to_string(), "OOMKilled");
        assert!("Nonsense".parse::<Cause>().is_err());
    }

    #[test]
    fn warnings_are_the_first_nineteen() {
        assert_eq!(
            Reason::ALL.iter().filter(|reason| reason.is_warning()).count(),
            19
        );
        assert!(Reason::PolicyViolation.is_warning());
        assert!(!Reason::Pulling.is_warning());
    }
}

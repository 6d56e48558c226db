//! Whether a plain variable looks like a secret. Owns the rule, by name and by value; what follows from it is said by
//! `admission`, which warns, and by `convert`, which seals. It never keeps or repeats a value.

/// Last words of names of variables that hold secrets.
const SECRET_WORDS: [&str; 9] = [
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "SECRET",
    "TOKEN",
    "PRIVATEKEY",
];
/// Words before a last KEY that make it one.
const SECRET_KEYS: [&str; 6] = ["ACCESS", "API", "ENCRYPTION", "PRIVATE", "SECRET", "SIGNING"];
/// How values begin that are secrets under whatever name.
const SECRET_VALUES: [&str; 6] = ["-----BEGIN ", "AKIA", "eyJ", "ghp_", "glpat-", "xoxb-"];

/// By the last words of the variable's name, or by how the value begins, or by a password in an URL.
#[must_use]
pub fn looks_secret(name: &str, value: &str) -> bool {
    if value.is_empty() || value.contains("$(") || matches!(value, "true" | "false") {
        return false;
    }
    let upper = name.to_ascii_uppercase();
    let mut words = upper.rsplit(['_', '-', '.']);
    let last = words.next().unwrap_or_default();
    let before = words.next().unwrap_or_default();
    SECRET_WORDS.contains(&last)
        || (last == "KEY" && SECRET_KEYS.contains(&before))
        || SECRET_VALUES.iter().any(|start| value.starts_with(start))
        || has_password(value)
}

/// `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else {
        return false;
    };
    user.split_once(':')
        .is_some_and(|(_, password)| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_values_and_urls_with_a_password_look_like_secrets_and_settings_do_not() {
        for (name, value) in [
            ("DB_PASSWORD", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("X", "ghp_x"),
            ("URL", "redis://:x@host"),
        ] {
            assert!(looks_secret(name, value), "{name}");
        }
        for (name, value) in [
            ("PASSWORD_FILE", "/x"),
            ("SORT_KEY", "x"),
            ("URL", "http://host/x"),
            ("TOKEN", ""),
        ] {
            assert!(!looks_secret(name, value), "{name}");
        }
    }
}

//! An error with its sources in one line, for logs and for people at the command line. What the API server answered is
//! shown in its own words: the client's form of it repeats the whole status object.

use std::error::Error;

/// The error and its sources, each said once.
#[must_use]
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let (said, last) = match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => (status.message.clone(), true),
            Some(_) | None => (error.to_string(), false),
        };
        if !said.is_empty() && !text.ends_with(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        next = if last { None } else { error.source() };
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the object cannot be read")]
    struct Outer(#[source] kube::Error);

    #[test]
    fn the_api_servers_words_are_said_once() {
        let status = Status::failure("configmaps \"x\" not found", "NotFound").with_code(404);
        let error = Outer(kube::Error::Api(Box::new(status)));
        assert_eq!(
            describe(&error),
            "the object cannot be read: configmaps \"x\" not found"
        );
    }
}

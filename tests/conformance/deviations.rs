//! The one place for accepted differences from a real API server: which step of which case, and why. A step that does
//! not differ, or is not there, fails the run.

/// One accepted difference.
pub struct Deviation {
    /// The name of the case.
    pub case: &'static str,
    /// The step, as a failure shows it: `3 PATCH gadgets/a`. `*` is the case as a whole, which then need not hold.
    pub step: &'static str,
    /// Why it is right so.
    pub reason: &'static str,
}

const fn whole(case: &'static str, reason: &'static str) -> Deviation {
    Deviation {
        case,
        step: "*",
        reason,
    }
}

const fn step(case: &'static str, step: &'static str, reason: &'static str) -> Deviation {
    Deviation { case, step, reason }
}

const ONE_USER: &str =
    "There is one user so far, who has a client certificate and may do everything: no roles, no tokens.";
const NOT_A_FAILURE: &str = "The server has not failed, so that it does not say 500. The text is the same.";

const ITEMS_SAY_WHAT_THEY_ARE: &str = "The items of a list go out as they are stored, byte for byte, with their apiVersion and kind, as those of \
     custom resources do upstream: to take these out of built-in ones, every item would be parsed and written again.";

/// All of them.
pub const DEVIATIONS: &[Deviation] = &[
    whole("who_shows_nothing_may_do_little", ONE_USER),
    whole("a_missing_right_is_forbidden_and_a_grant_works_at_once", ONE_USER),
    whole("reviews_answer_everybody", ONE_USER),
    whole("impersonation_needs_a_right_of_its_own", ONE_USER),
    whole("nobody_grants_more_than_they_have", ONE_USER),
    whole("service_accounts_get_tokens", ONE_USER),
    whole("names_restrict_reading_one_but_not_listing", ONE_USER),
    whole("a_binding_keeps_its_role", ONE_USER),
    step(
        "an_unknown_field_cannot_be_applied",
        "1 PATCH gadgets/a",
        NOT_A_FAILURE,
    ),
    step(
        "an_unknown_field_cannot_be_applied",
        "2 PATCH gadgets/a",
        NOT_A_FAILURE,
    ),
    step(
        "an_apply_is_yaml",
        "2 PATCH gadgets/a",
        "A second document is refused: kube-apiserver drops it without a word.",
    ),
    step(
        "events_secrets_and_namespaces_are_selected_by_their_fields",
        "3 GET events",
        ITEMS_SAY_WHAT_THEY_ARE,
    ),
    step(
        "events_secrets_and_namespaces_are_selected_by_their_fields",
        "4 GET events",
        ITEMS_SAY_WHAT_THEY_ARE,
    ),
    step(
        "events_secrets_and_namespaces_are_selected_by_their_fields",
        "5 GET events",
        ITEMS_SAY_WHAT_THEY_ARE,
    ),
    step(
        "events_secrets_and_namespaces_are_selected_by_their_fields",
        "6 GET events",
        ITEMS_SAY_WHAT_THEY_ARE,
    ),
    step(
        "events_secrets_and_namespaces_are_selected_by_their_fields",
        "8 GET events",
        ITEMS_SAY_WHAT_THEY_ARE,
    ),
    step(
        "events_secrets_and_namespaces_are_selected_by_their_fields",
        "11 GET secrets",
        ITEMS_SAY_WHAT_THEY_ARE,
    ),
    step(
        "events_secrets_and_namespaces_are_selected_by_their_fields",
        "12 GET /api/v1/namespaces",
        ITEMS_SAY_WHAT_THEY_ARE,
    ),
];

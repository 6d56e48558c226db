//! The fuzz target of admission: whatever is sent as a review is judged or refused, and the answer fits the question.

use serde_json::Value;

use crate::{
    admission::{Facts, Need, Objects, User, deletion, review, wire},
    api::validate::Policy,
};

/// Any bytes as the body of a review.
pub fn admission(bytes: &[u8]) {
    let request = match wire::read(bytes) {
        Ok(request) => request,
        Err(malformed) => {
            assert!(malformed.to_string().contains("AdmissionReview"));
            return;
        }
    };
    let asked = request.review();
    let used = Facts {
        users: vec![User {
            name: "web".to_owned(),
            going: false,
        }],
        namespace_ends: false,
        objects: Some(Objects {
            one: "shop/web".to_owned(),
            others: 1,
        }),
        keys: [("db".to_owned(), None)].into(),
        now: jiff::Timestamp::MAX,
    };
    let policy = Policy::default();
    for facts in [Facts::default(), used] {
        let verdict = review(&asked, &facts, &policy);
        assert_eq!(
            review(&asked, &facts, &policy),
            verdict,
            "the same question, the same answer"
        );
        assert!(verdict.refusal.is_none() || verdict.warnings.is_empty());
        // A deletion of what is used; of a reference to what is not there is only warned.
        if !matches!(deletion::need(&asked), Need::Nothing | Need::Keys { .. }) {
            assert_eq!(verdict.refusal.is_some(), facts != Facts::default());
        }
        let answer = wire::answer(&request.uid, &verdict);
        assert_eq!(answer["response"]["uid"], Value::from(request.uid.as_str()));
        assert_eq!(
            answer["response"]["allowed"],
            Value::from(verdict.refusal.is_none())
        );
        if let Some(refusal) = &verdict.refusal {
            assert!((400..500).contains(&refusal.code) && !refusal.message.is_empty());
            assert_eq!(answer["response"]["status"], refusal.to_json());
        }
    }
}

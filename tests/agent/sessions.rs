//! Sessions: several at once, frozen ones, and lines that are no orders.

use std::time::Instant;

use supercargo::{
    agent::protocol::{LONGEST_LINE, Member, Word},
    state::probe::{Check, Probes},
};
use tokio::io::AsyncWriteExt;

use super::lab::{App, Lab, address, member, probe};

#[tokio::test]
async fn health_is_said_in_every_session_and_the_last_order_holds() {
    let lab = Lab::new().await;
    let app = App::new(200).await;
    let (mut old, mut new) = (lab.session().await, lab.session().await);
    old.set("web", &[app.member()]).await;
    let member = app.member();
    new.set("web", std::slice::from_ref(&member)).await;
    for session in [&mut old, &mut new] {
        let ours = |word: &Word| {
            matches!(word, Word::Health { container, health, .. }
                if *container == member.container && health.ready)
        };
        session.until(ours).await;
    }
}

#[tokio::test]
async fn a_session_that_is_never_read_blocks_neither_names_nor_other_sessions() {
    let lab = Lab::new().await;
    let mut frozen = lab.unheard();
    let mut session = lab.session().await;
    let began = Instant::now();
    let last = address();
    for round in 0..40 {
        // New containers each time, so that there is news about all of them: 20,000 words in the end.
        let mut members: Vec<Member> = (0..500).map(|_| member(address(), Probes::default())).collect();
        members[0].address = last;
        session.set("web", &members).await;
        if round == 0 {
            frozen.begin_set("db", &members).await;
        }
    }
    assert!(lab.look_over_tcp("web").await.addresses.contains(&last));
    println!("20,000 changes beside a frozen session: {:?}", began.elapsed());
    // What it reads when it thaws is what is so now, and no more than that.
    let mut said = 0;
    frozen.until(|word| matches!(word, Word::Applied { .. })).await;
    session.set("end", &[]).await;
    let after = frozen.begin_set("thawed", &[]).await;
    loop {
        match frozen.hear().await {
            Word::Applied { sequence, .. } if sequence == after => break,
            _ => said += 1,
        }
    }
    assert!(said < 3_000, "{said} words");
}

#[tokio::test]
async fn a_session_that_ends_leaves_names_and_probes_as_they_are() {
    let lab = Lab::new().await;
    let app = App::new(200).await;
    let mut session = lab.session().await;
    session.set("web", &[app.member()]).await;
    lab.until("web", &[app.address]).await;
    drop(session);
    app.answers(503);
    lab.until("web", &[]).await;
    app.answers(200);
    lab.until("web", &[app.address]).await;
}

#[tokio::test]
async fn a_line_that_is_no_order_is_refused_without_its_words_and_changes_nothing() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    let address = address();
    session.set("web", &[member(address, Probes::default())]).await;
    for line in [
        "hush",
        "{\"order\": \"hush\"}",
        "{\"order\": \"set\", \"deployment\": \"web\", \"sequence\": \"hush\", \"members\": []}",
        "{\"order\": \"set\", \"deployment\": \"web\", \"sequence\": 1, \"members\": [{\"container\": \"hush\"}]}",
        "[1, 2",
        "\u{1}\u{2}",
    ] {
        session.write(line).await;
        let word = session.until(|word| matches!(word, Word::Refused { .. })).await;
        assert!(!format!("{word:?}").contains("hush"), "{word:?}");
    }
    session.write("  ").await;
    assert_eq!(lab.look("web").await.addresses, [address]);
}

#[tokio::test]
async fn a_command_is_never_asked_from_here() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    let probes = Probes {
        liveness: Some(probe(Check::Exec {
            command: vec!["true".to_owned()],
        })),
        ..Probes::default()
    };
    session.begin_set("web", &[member(address(), probes)]).await;
    let word = session.hear().await;
    assert!(matches!(word, Word::Refused { .. }), "{word:?}");
}

#[tokio::test]
async fn a_line_without_an_end_ends_its_session_alone() {
    let lab = Lab::new().await;
    let (mut wild, mut session) = (lab.session().await, lab.session().await);
    let line = "x".repeat(LONGEST_LINE + 10);
    wild.write(&line).await;
    assert_eq!(wild.next().await, None);
    session.set("web", &[]).await;
}

#[tokio::test]
async fn with_too_many_sessions_the_oldest_ends() {
    let lab = Lab::new().await;
    let mut oldest = lab.session().await;
    let mut others = vec![];
    for _ in 0..16 {
        others.push(lab.session().await);
    }
    assert_eq!(oldest.next().await, None);
    for session in &mut others {
        session.set("web", &[]).await;
    }
}

#[tokio::test]
async fn half_a_line_at_the_end_of_a_session_is_no_order() {
    let lab = Lab::new().await;
    let mut session = lab.session().await;
    let address = address();
    session.set("web", &[member(address, Probes::default())]).await;
    let mut dying = lab.session().await;
    dying.half("{\"order\": \"only\", \"deployments\": []}").await;
    drop(dying);
    session.set("db", &[]).await;
    assert_eq!(lab.look("web").await.addresses, [address]);
}

impl super::lab::Session {
    /// A line whose end never comes.
    async fn half(&mut self, line: &str) {
        self.writer().write_all(line.as_bytes()).await.unwrap();
    }
}

//! What a name is and whose health is news, by example.

use super::*;
use crate::state::probe::{Health, Probe, Probes};

fn now(second: u64) -> Moment {
    Moment {
        wall: wall(second),
        steady: Duration::from_secs(second),
    }
}

fn wall(second: u64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second as i64).unwrap()
}

fn readiness() -> Probes {
    Probes {
        readiness: Some(Probe {
            check: Check::Tcp { port: 80 },
            initial_delay_seconds: 0,
            period_seconds: 10,
            timeout_seconds: 2,
            success_threshold: 1,
            failure_threshold: 1,
        }),
        ..Probes::default()
    }
}

fn member(id: &str, address: &str, probes: Probes) -> Member {
    Member {
        container: ContainerId::new(id),
        started_at: wall(0),
        address: address.parse().unwrap(),
        serving: true,
        gate: true,
        known: Health::beginning(&probes, Some(wall(0))),
        probes,
    }
}

fn ours(addresses: &[&str]) -> Found {
    Found::Ours(addresses.iter().map(|address| address.parse().unwrap()).collect())
}

fn only(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn roster(members: Vec<Member>) -> Roster {
    let mut roster = Roster::new("shop");
    roster.set("web", members, now(1));
    roster.only(&only(&["web"]));
    roster
}

fn run_of(roster: &Roster, place: usize) -> Number {
    roster.runs_of("web").nth(place).unwrap()
}

#[test]
fn a_deployment_has_four_names_and_no_other() {
    let roster = roster(vec![member("a", "10.1.0.2", Probes::default())]);
    for name in ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"] {
        assert_eq!(roster.find(name), ours(&["10.1.0.2"]), "{name}");
    }
    for name in [
        "",
        "shop",
        "web.svc",
        "web.other",
        "web.shop.cluster.local",
        "web.shop.svc.local",
        "x.web",
        "db.shop",
        "webshop",
    ] {
        assert_eq!(roster.find(name), Found::Foreign, "{name}");
    }
}

#[test]
fn before_all_deployments_were_named_a_name_that_may_be_ours_is_not_denied() {
    let mut roster = Roster::new("shop");
    roster.set("web", vec![], now(1));
    assert_eq!(roster.find("web"), ours(&[]));
    for name in ["db", "db.shop", "db.shop.svc.cluster.local"] {
        assert_eq!(roster.find(name), Found::NotYet, "{name}");
    }
    for name in ["example.com", "db.other", "", "db.other.svc.cluster.local"] {
        assert_eq!(roster.find(name), Found::Foreign, "{name}");
    }
    roster.only(&only(&["web"]));
    assert_eq!(roster.find("db"), Found::Foreign);
}

#[test]
fn only_ready_members_that_serve_and_that_nobody_holds_back_are_named() {
    let unready = member("a", "10.1.0.2", readiness());
    let leaving = Member {
        serving: false,
        ..member("b", "10.1.0.3", Probes::default())
    };
    let held = Member {
        gate: false,
        ..member("c", "10.1.0.4", Probes::default())
    };
    let ready = member("d", "10.1.0.5", Probes::default());
    let mut roster = roster(vec![unready, leaving, held, ready]);
    assert_eq!(roster.find("web"), ours(&["10.1.0.5"]));
    let first = run_of(&roster, 0);
    assert!(roster.told(first, Role::Readiness, Duration::from_secs(2), Ok(()), wall(2)));
    assert_eq!(roster.find("web"), ours(&["10.1.0.2", "10.1.0.5"]));
}

#[test]
fn an_order_said_again_changes_nothing_that_was_found_out() {
    let members = vec![member("a", "10.1.0.2", readiness())];
    let mut roster = roster(members.clone());
    let run = run_of(&roster, 0);
    assert!(roster.told(run, Role::Readiness, Duration::from_secs(1), Ok(()), wall(1)));
    assert_eq!(roster.set("WEB", members, now(3)), [0; 0]);
    assert_eq!(run_of(&roster, 0), run);
    assert_eq!(roster.find("web"), ours(&["10.1.0.2"]));
    assert_eq!(roster.due(run, Role::Readiness), Some(Duration::from_secs(11)));
}

#[test]
fn a_member_taken_out_of_service_is_not_named_and_is_asked_on() {
    let mut leaving = member("a", "10.1.0.2", readiness());
    leaving.known.ready = true;
    let mut roster = roster(vec![leaving.clone()]);
    assert_eq!(roster.find("web"), ours(&["10.1.0.2"]));
    leaving.serving = false;
    roster.set("web", vec![leaving], now(3));
    assert_eq!(roster.find("web"), ours(&[]));
    assert!(roster.due(run_of(&roster, 0), Role::Readiness).is_some());
}

#[test]
fn another_run_of_a_container_begins_anew_and_late_answers_about_the_old_one_are_nobodys() {
    let first = member("a", "10.1.0.2", readiness());
    let mut roster = roster(vec![first.clone()]);
    let old = run_of(&roster, 0);
    let again = Member {
        started_at: wall(5),
        ..first
    };
    assert_eq!(roster.set("web", vec![again], now(5)), [old]);
    assert!(!roster.has(old));
    assert!(!roster.told(old, Role::Readiness, Duration::from_secs(6), Ok(()), wall(6)));
    assert_eq!(roster.find("web"), ours(&[]));
}

#[test]
fn other_probes_get_another_number_and_keep_what_is_known() {
    let first = member("a", "10.1.0.2", readiness());
    let mut roster = roster(vec![first.clone()]);
    let old = run_of(&roster, 0);
    roster.told(old, Role::Readiness, Duration::from_secs(1), Ok(()), wall(1));
    let mut probes = readiness();
    probes.liveness = probes.readiness.clone();
    assert_eq!(roster.set("web", vec![Member { probes, ..first }], now(5)), [old]);
    let new = run_of(&roster, 0);
    assert_ne!(new, old);
    assert_eq!(roster.find("web"), ours(&["10.1.0.2"]));
    assert_eq!(roster.due(new, Role::Readiness), Some(Duration::from_secs(11)));
    assert!(roster.due(new, Role::Liveness).is_some());
}

#[test]
fn a_run_named_twice_is_one() {
    let twice = member("a", "10.1.0.2", readiness());
    let roster = roster(vec![twice.clone(), twice]);
    assert_eq!(roster.runs_of("web").count(), 1);
    assert_eq!(roster.runs.len(), 1);
}

#[test]
fn what_is_no_longer_named_is_forgotten() {
    let mut roster = roster(vec![member("a", "10.1.0.2", readiness())]);
    let run = run_of(&roster, 0);
    assert_eq!(roster.only(&only(&[])), [run]);
    assert_eq!(roster.find("web"), Found::Foreign);
    assert!(roster.runs.is_empty());
    assert_eq!(roster.word(run), None);
}

#[test]
fn a_clock_that_jumps_moves_no_question() {
    let mut roster = Roster::new("shop");
    let mut young = member("a", "10.1.0.2", readiness());
    young.started_at = wall(86_400);
    let jumped = Moment {
        wall: wall(3),
        steady: Duration::from_secs(3),
    };
    roster.set("web", vec![young], jumped);
    assert_eq!(
        roster.due(run_of(&roster, 0), Role::Readiness),
        Some(Duration::from_secs(3)),
        "it started in the future, so it has just begun"
    );
}

#[test]
fn containers_begin_their_questions_all_over_a_period() {
    let phases: Vec<u32> = (0..1_000)
        .map(|number| phase(&ContainerId::new(format!("{number:064x}"))))
        .collect();
    for tenth in 0..10 {
        let share = phases
            .iter()
            .filter(|phase| u64::from(**phase) * 10 / (1 << 32) == tenth)
            .count();
        assert!((40..200).contains(&share), "{share} of 1000 in one tenth");
    }
}

//! The ladder by table and by property: nothing here waits, and every age is chosen.

use proptest::prelude::*;

use super::*;
use crate::state::probe::Check;

const NEW: Met = Met {
    age: Duration::ZERO,
    phase: 0,
};

fn probe(delay: u32, period: u32, yes: u32, no: u32) -> Probe {
    Probe {
        check: Check::Tcp { port: 80 },
        initial_delay_seconds: delay,
        period_seconds: period,
        timeout_seconds: 1,
        success_threshold: yes,
        failure_threshold: no,
    }
}

fn probes(roles: &[(Role, Probe)]) -> Probes {
    let mut probes = Probes::default();
    for (role, probe) in roles {
        let place = match role {
            Role::Startup => &mut probes.startup,
            Role::Readiness => &mut probes.readiness,
            Role::Liveness => &mut probes.liveness,
        };
        *place = Some(probe.clone());
    }
    probes
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn fresh(probes: Probes) -> Ladder {
    let known = Health::beginning(&probes, Some(at(0)));
    Ladder::new(probes, at(0), &known, NEW)
}

fn no() -> Result<(), String> {
    Err("GET /ready on port 80 answered 503".to_owned())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Answers with no whenever asked, until `end`; when it was asked, and when something became known.
fn refuse(ladder: &mut Ladder, role: Role, end: Duration) -> (Vec<Duration>, Vec<Duration>) {
    let (mut asked, mut news) = (vec![], vec![]);
    while let Some(due) = ladder.due(role).filter(|due| *due < end) {
        asked.push(due);
        if ladder.told(role, due, no(), at(0)) {
            news.push(due);
        }
    }
    (asked, news)
}

#[test]
fn without_probes_a_container_is_ready_since_its_start_and_nothing_is_asked() {
    let ladder = fresh(Probes::default());
    assert!(ladder.health().ready && ladder.health().started && ladder.health().alive);
    assert_eq!(ladder.health().ready_since, Some(at(0)));
    assert!(Role::ALL.iter().all(|role| ladder.due(*role).is_none()));
}

#[test]
fn the_first_question_comes_right_after_the_delay() {
    let ladder = fresh(probes(&[
        (Role::Readiness, probe(7, 10, 1, 3)),
        (Role::Liveness, probe(0, 10, 1, 3)),
    ]));
    assert_eq!(ladder.due(Role::Readiness), Some(seconds(7)));
    assert_eq!(ladder.due(Role::Liveness), Some(Duration::ZERO));
}

#[test]
fn a_container_that_was_never_ready_is_asked_early_and_then_ever_more_seldom() {
    let mut ladder = fresh(probes(&[(Role::Readiness, probe(0, 10, 1, 3))]));
    let (asked, news) = refuse(&mut ladder, Role::Readiness, seconds(600));
    for pair in asked.windows(2) {
        let pause = pair[1] - pair[0];
        assert!(pause >= SOONEST && pause <= seconds(10), "{pair:?}");
        assert!(pause <= (pair[0] / PATIENCE).max(SOONEST), "{pair:?}");
    }
    let early = asked.iter().filter(|age| **age < seconds(80)).count();
    assert!(early < 60, "{early} questions in 80 s");
    assert_eq!(asked[asked.len() - 1] - asked[asked.len() - 2], seconds(10));
    // The third no that counts is that of the third period, and says once what is wrong.
    assert_eq!(news.len(), 1);
    assert!(news[0] >= seconds(20) && news[0] <= seconds(23), "{news:?}");
    assert_eq!(
        ladder.health().message,
        "readiness probe: GET /ready on port 80 answered 503"
    );
    assert!(!ladder.health().ready && ladder.health().alive);
}

#[test]
fn a_yes_makes_ready_and_from_then_on_the_period_holds() {
    let mut ladder = fresh(probes(&[(Role::Readiness, probe(0, 10, 1, 3))]));
    assert!(!ladder.told(Role::Readiness, seconds(0), no(), at(0)));
    assert!(ladder.told(Role::Readiness, seconds(1), Ok(()), at(1)));
    assert_eq!(ladder.health().ready_since, Some(at(1)));
    assert_eq!(ladder.due(Role::Readiness), Some(seconds(11)));
    assert!(!ladder.told(Role::Readiness, seconds(11), no(), at(11)));
    assert_eq!(ladder.due(Role::Readiness), Some(seconds(21)));
    assert!(!ladder.told(Role::Readiness, seconds(21), no(), at(21)));
    assert!(ladder.health().ready, "two of three");
    assert!(ladder.told(Role::Readiness, seconds(31), no(), at(31)));
    assert!(!ladder.health().ready);
    assert_eq!(ladder.health().ready_since, None);
    assert_eq!(ladder.due(Role::Readiness), Some(seconds(41)));
    assert!(ladder.told(Role::Readiness, seconds(41), Ok(()), at(41)));
    assert_eq!(ladder.health().ready_since, Some(at(41)));
    assert_eq!(ladder.health().message, "");
}

#[test]
fn several_yes_are_a_period_apart_where_several_are_asked_for() {
    let mut ladder = fresh(probes(&[(Role::Readiness, probe(0, 10, 3, 3))]));
    assert!(!ladder.told(Role::Readiness, seconds(0), Ok(()), at(0)));
    assert_eq!(ladder.due(Role::Readiness), Some(seconds(10)));
    assert!(!ladder.told(Role::Readiness, seconds(10), Ok(()), at(10)));
    assert!(ladder.told(Role::Readiness, seconds(20), Ok(()), at(20)));
    assert_eq!(ladder.health().ready_since, Some(at(20)));
}

#[test]
fn a_probe_that_flaps_within_its_threshold_changes_nothing() {
    let mut ladder = fresh(probes(&[(Role::Readiness, probe(0, 1, 1, 2))]));
    assert!(ladder.told(Role::Readiness, seconds(0), Ok(()), at(0)));
    for age in 1..100 {
        let answer = if age % 2 == 0 { Ok(()) } else { no() };
        assert!(
            !ladder.told(Role::Readiness, seconds(age), answer, at(9)),
            "{age}"
        );
    }
    assert_eq!(ladder.health().ready_since, Some(at(0)));
}

#[test]
fn until_it_has_started_nothing_else_is_asked() {
    let mut ladder = fresh(probes(&[
        (Role::Startup, probe(0, 10, 1, 30)),
        (Role::Readiness, probe(0, 5, 1, 1)),
        (Role::Liveness, probe(30, 5, 1, 1)),
    ]));
    assert!(!ladder.health().started);
    assert_eq!(ladder.due(Role::Readiness), None);
    assert_eq!(ladder.due(Role::Liveness), None);
    assert!(
        !ladder.told(Role::Liveness, seconds(1), no(), at(1)),
        "nobody asked"
    );
    assert!(ladder.told(Role::Startup, seconds(20), Ok(()), at(20)));
    assert!(ladder.health().started && !ladder.health().ready);
    assert_eq!(ladder.due(Role::Startup), None);
    assert_eq!(ladder.due(Role::Readiness), Some(seconds(20)));
    assert_eq!(ladder.due(Role::Liveness), Some(seconds(30)));
}

#[test]
fn started_is_ready_where_nobody_asks_for_readiness() {
    let mut ladder = fresh(probes(&[(Role::Startup, probe(0, 10, 1, 30))]));
    assert!(!ladder.health().ready);
    assert!(ladder.told(Role::Startup, seconds(4), Ok(()), at(4)));
    assert_eq!(ladder.health().ready_since, Some(at(4)));
}

#[test]
fn early_questions_do_not_shorten_the_time_that_a_start_may_take() {
    let mut ladder = fresh(probes(&[(Role::Startup, probe(5, 10, 1, 30))]));
    let (asked, news) = refuse(&mut ladder, Role::Startup, seconds(10_000));
    assert!(asked.len() > 40);
    assert_eq!(news.len(), 1);
    // 30 times no, 10 s apart, the first after 5 s.
    assert!(news[0] >= seconds(295) && news[0] < seconds(306), "{news:?}");
    assert!(!ladder.health().alive);
    assert!(ladder.health().message.starts_with("startup probe: "));
    assert_eq!(ladder.due(Role::Startup), None);
}

#[test]
fn a_failed_liveness_is_said_once_and_never_taken_back() {
    let mut ladder = fresh(probes(&[
        (Role::Readiness, probe(0, 1, 1, 1)),
        (Role::Liveness, probe(0, 10, 1, 3)),
    ]));
    let (asked, news) = refuse(&mut ladder, Role::Liveness, seconds(100));
    assert_eq!(asked, [seconds(0), seconds(10), seconds(20)]);
    assert_eq!(news, [seconds(20)]);
    assert_eq!(ladder.due(Role::Liveness), None);
    assert!(!ladder.told(Role::Liveness, seconds(30), Ok(()), at(30)));
    assert!(!ladder.health().alive);
    // Its readiness goes on, and does not hide why it is to be restarted.
    assert!(ladder.told(Role::Readiness, seconds(30), Ok(()), at(30)));
    assert!(ladder.told(Role::Readiness, seconds(31), no(), at(31)));
    assert!(ladder.health().message.starts_with("liveness probe: "));
}

#[test]
fn whoever_comes_later_goes_on_with_what_was_known() {
    let asked = probes(&[
        (Role::Startup, probe(0, 10, 1, 3)),
        (Role::Readiness, probe(0, 10, 1, 2)),
        (Role::Liveness, probe(0, 10, 1, 3)),
    ]);
    let known = Health {
        started: true,
        ready: true,
        ready_since: Some(at(50)),
        alive: true,
        message: String::new(),
    };
    let met = Met {
        age: seconds(100),
        phase: u32::MAX / 2,
    };
    let mut ladder = Ladder::new(asked, at(0), &known, met);
    assert_eq!(*ladder.health(), known);
    // Spread over a period instead of all at once.
    assert_eq!(ladder.due(Role::Readiness).unwrap().as_secs(), 104);
    assert_eq!(ladder.due(Role::Liveness).unwrap().as_secs(), 104);
    assert!(!ladder.told(Role::Readiness, seconds(105), no(), at(105)));
    assert!(ladder.health().ready, "one of two");
    assert!(ladder.told(Role::Readiness, seconds(115), no(), at(115)));
}

#[test]
fn one_that_was_not_ready_is_asked_at_once_by_whoever_comes_later() {
    let asked = probes(&[(Role::Readiness, probe(0, 10, 1, 2))]);
    let known = Health::beginning(&asked, Some(at(0)));
    let met = Met {
        age: seconds(100),
        phase: u32::MAX,
    };
    let ladder = Ladder::new(asked, at(0), &known, met);
    assert!(ladder.due(Role::Readiness).unwrap() <= met.age);
}

#[test]
fn another_probe_begins_from_what_is_known_and_the_others_keep_counting() {
    let liveness = (Role::Liveness, probe(0, 10, 1, 2));
    let mut ladder = fresh(probes(&[(Role::Readiness, probe(0, 10, 1, 2)), liveness.clone()]));
    ladder.told(Role::Readiness, seconds(0), Ok(()), at(0));
    ladder.told(Role::Readiness, seconds(10), no(), at(10));
    ladder.told(Role::Liveness, seconds(10), no(), at(10));
    let met = Met {
        age: seconds(11),
        phase: 0,
    };
    let mut next = ladder.with(
        probes(&[(Role::Readiness, probe(0, 1, 1, 2)), liveness]),
        at(0),
        met,
    );
    assert_eq!(next.health().ready_since, Some(at(0)));
    assert!(
        !next.told(Role::Readiness, seconds(11), no(), at(11)),
        "counted from the beginning"
    );
    assert!(next.told(Role::Liveness, seconds(20), no(), at(20)), "counted on");
    let without = next.with(Probes::default(), at(0), met);
    assert!(without.health().ready && !without.health().alive);
}

fn any_probe() -> impl Strategy<Value = Probe> {
    (0..20_u32, 1..20_u32, 1..4_u32, 1..4_u32)
        .prop_map(|(delay, period, yes, no)| probe(delay, period, yes, no))
}

fn any_probes() -> impl Strategy<Value = Probes> {
    use proptest::option::of;
    (of(any_probe()), of(any_probe()), of(any_probe())).prop_map(|(startup, readiness, liveness)| Probes {
        startup,
        readiness,
        liveness,
        ..Probes::default()
    })
}

proptest! {
    /// Any answers in any order, asked when due or not.
    #[test]
    fn whatever_is_answered_what_is_known_makes_sense(
        probes in any_probes(),
        answers in prop::collection::vec((0..3_usize, any::<bool>(), 0..3_000_u64), 0..200),
    ) {
        let mut ladder = fresh(probes.clone());
        let mut age = Duration::ZERO;
        for (role, yes, later) in answers {
            let role = Role::ALL[role];
            age = age.max(ladder.due(role).unwrap_or(age)) + Duration::from_millis(later);
            let before = ladder.health().clone();
            let asked = ladder.due(role).is_some();
            let news = ladder.told(role, age, if yes { Ok(()) } else { no() }, at(age.as_secs() as i64));
            let after = ladder.health();
            prop_assert_eq!(news, before != *after);
            prop_assert!(asked || !news);
            prop_assert!(before.alive || !after.alive, "dead for good");
            prop_assert!(!before.started || after.started, "started for good");
            prop_assert!(!after.ready || after.started);
            prop_assert_eq!(after.ready, after.ready_since.is_some());
            prop_assert!(after.ready || !yes || role != Role::Readiness || !before.ready, "a yes never makes unready");
            prop_assert!(after.message.is_empty() == (after.alive && after.ready) || after.message.is_empty());
            if probes.readiness.is_none() {
                prop_assert_eq!(after.ready, after.started);
            }
            if asked && let (Some(next), Some(probe)) = (ladder.due(role), probes.get(role)) {
                prop_assert!(next >= age + SOONEST && next <= age + period(probe));
            }
        }
    }

    /// Asked on time: failures count for what the kubelet would count, and a yes is noticed soon.
    #[test]
    fn thresholds_hold_whatever_the_pace(
        probe in any_probe(),
        role in 0..2_usize,
        passes in 0..400_u64,
    ) {
        let role = Role::ALL[role];
        let mut ladder = fresh(probes(&[(role, probe.clone())]));
        let delay = seconds(probe.initial_delay_seconds.into());
        let passes = delay + seconds(passes);
        let budget = delay + period(&probe) * (probe.failure_threshold - 1);
        let mut proven = None;
        while let Some(due) = ladder.due(role).filter(|due| *due < seconds(2_000)) {
            let answer = if due >= passes { Ok(()) } else { no() };
            if answer.is_ok() {
                proven.get_or_insert(due);
            }
            ladder.told(role, due, answer, at(0));
            if !ladder.health().alive {
                prop_assert!(due >= budget && due <= budget + period(&probe), "{:?} against {:?}", due, budget);
                return Ok(());
            }
            if ladder.health().ready {
                break;
            }
        }
        let late = proven.map(|first| first - passes);
        let share = (passes - delay) / PATIENCE;
        prop_assert!(late.is_some_and(|late| late <= share.max(SOONEST).min(period(&probe))), "{:?}", late);
    }
}

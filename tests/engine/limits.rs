//! Limits, at create and by update.

use supercargo::{
    engine::{Containers, Kind},
    state::container::Limits,
};

use super::lab::{Lab, kind_of};

const MEMORY: i64 = 64 << 20;
const HALF: i64 = 500_000_000;

pub async fn limits_hold_from_the_start_with_swap_bounded(lab: &impl Lab) {
    let mut spec = lab.spec("c");
    spec.limits = Limits {
        memory: Some(MEMORY),
        nano_cpus: Some(HALF),
    };
    let view = lab.view(&lab.create(&spec).await.unwrap()).await;
    assert_eq!((view.limits, view.swap_bounded), (spec.limits, true));
    let view = lab.view(&lab.create(&lab.spec("unlimited")).await.unwrap()).await;
    assert_eq!((view.limits, view.swap_bounded), (Limits::default(), true));
}

pub async fn an_update_sets_memory_swap_and_cpus_of_a_running_container(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    for limits in [
        Limits {
            memory: Some(MEMORY),
            nano_cpus: Some(HALF),
        },
        Limits {
            memory: Some(2 * MEMORY),
            nano_cpus: Some(2 * HALF),
        },
        Limits {
            memory: Some(MEMORY),
            nano_cpus: Some(HALF),
        },
    ] {
        lab.engine().update_container(&id, &limits).await.unwrap();
        let view = lab.view(&id).await;
        assert_eq!((view.limits, view.swap_bounded), (limits, true));
    }
}

pub async fn an_update_without_a_limit_leaves_it_as_it_is(lab: &impl Lab) {
    let mut spec = lab.spec("c");
    spec.limits = Limits {
        memory: Some(MEMORY),
        nano_cpus: Some(HALF),
    };
    let id = lab.running(&spec).await;
    for none in [None, Some(0)] {
        lab.engine()
            .update_container(
                &id,
                &Limits {
                    memory: none,
                    nano_cpus: none,
                },
            )
            .await
            .unwrap();
        assert_eq!(lab.view(&id).await.limits, spec.limits);
    }
}

pub async fn an_update_takes_away_the_engines_own_restarts(lab: &impl Lab) {
    let id = lab.running(&lab.spec("c")).await;
    lab.set_restart_policy(&id, "always").await;
    assert_eq!(lab.view(&id).await.restart_policy, "always");
    lab.engine()
        .update_container(&id, &Limits::default())
        .await
        .unwrap();
    assert_eq!(lab.view(&id).await.restart_policy, "no");
}

pub async fn a_memory_limit_below_the_engines_least_is_invalid(lab: &impl Lab) {
    let limits = Limits {
        memory: Some(1 << 20),
        nano_cpus: None,
    };
    let mut spec = lab.spec("c");
    spec.limits = limits;
    assert_eq!(kind_of(lab.create(&spec).await), Kind::Invalid);
    let id = lab.running(&lab.spec("d")).await;
    assert_eq!(
        kind_of(lab.engine().update_container(&id, &limits).await),
        Kind::Invalid
    );
}

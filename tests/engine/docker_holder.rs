//! The way of a file on a real Docker: a holder made of this build, a parcel through an exec, and a consumer that reads.

use std::path::Path;

use supercargo::{
    delivery::{check::check, parcel::Order},
    engine::{Containers, Files, Volumes},
    execute::program::Program,
    state::container::{ContainerId, ContainerSpec, RunState},
};

use super::{
    delivery::{TARGET, consumer, deliver, holder, volume},
    docker::DockerLab,
    fake_holder::{file, key, parcel, placed},
    lab::Lab,
};

/// A holder as tight as in operation, with this build as its only file.
async fn holding(lab: &DockerLab, spec: ContainerSpec) -> ContainerId {
    let image = lab.holder_image();
    let program = Program::of_file(Path::new(env!("CARGO_BIN_EXE_supercargo"))).unwrap();
    program.bring(lab.engine(), &image).await.unwrap();
    let command = ["/supercargo", "hold"].map(str::to_owned);
    lab.running(&ContainerSpec {
        image,
        entrypoint: Some(command.into()),
        cmd: None,
        ..spec
    })
    .await
}

/// Carries it out; it has to be there as it was sent.
async fn done(lab: &DockerLab, id: &ContainerId, order: Order) {
    let parcel = parcel(vec![order]);
    let (receipt, said) = deliver(lab.engine(), id, &parcel).await.unwrap();
    let receipt = receipt.unwrap_or_else(|| panic!("{said}"));
    let judged = check(&parcel.loads[0], &key(), 1234, 2345, &receipt.shelves[0]);
    assert_eq!(judged, Ok(()), "{said}");
}

#[tokio::test]
async fn what_is_delivered_is_read_by_the_consumer_until_the_last_of_both_ends() {
    let lab = DockerLab::open().await;
    let volume = volume(&lab);
    lab.engine().create_volume(&volume).await.unwrap();
    let holder = holding(&lab, holder(&lab, "holder", &volume)).await;
    let consumer = lab.running(&consumer(&lab, "consumer", &volume)).await;
    let read = |path: &str| lab.docker(&["exec", consumer.as_str(), "cat", &format!("{TARGET}/{path}")]);
    let data = async || {
        let path = format!("{TARGET}/..data");
        lab.engine().read_link(&consumer, &path).await.unwrap()
    };
    let set = |n: u32| {
        vec![
            file("password", format!("one-{n}").as_bytes()),
            file("tls/key", b"k"),
        ]
    };
    for n in 1..=5 {
        done(&lab, &holder, placed("g", set(n))).await;
        assert_eq!(
            (read("password"), read("tls/key")),
            (format!("one-{n}"), "k".to_owned())
        );
        assert_eq!(data().await, Some(format!("..g.{n}")));
    }
    let kept = lab.docker(&["exec", consumer.as_str(), "ls", "-A", TARGET]);
    assert_eq!(kept, "..data\n..g.3\n..g.4\n..g.5\npassword\ntls");
    let told = Order::Told {
        generation: "g".to_owned(),
    };
    done(&lab, &holder, told).await;
    let seen = lab
        .engine()
        .read_link(&consumer, &format!("{TARGET}/..told"))
        .await;
    assert_eq!(seen.unwrap().as_deref(), Some("g"));
    // PID 1 ends at once when it is asked to, and what it held is there while the consumer runs.
    let start = std::time::Instant::now();
    lab.engine().stop_container(&holder, 30).await.unwrap();
    assert!(start.elapsed().as_secs() < 15, "{:?}", start.elapsed());
    assert_eq!(lab.view(&holder).await.exit.unwrap().code, 0);
    assert_eq!(read("password"), "one-5");
    lab.engine().start_container(&holder).await.unwrap();
    done(&lab, &holder, Order::Look).await;
    assert_eq!(read("password"), "one-5");
    for id in [&holder, &consumer] {
        lab.kill(id).await;
        lab.becomes(id, RunState::Exited).await;
    }
    lab.engine().start_container(&consumer).await.unwrap();
    assert_eq!(data().await, None);
}

#[tokio::test]
async fn a_holder_takes_as_much_as_a_parcel_may_have_and_says_when_it_is_full() {
    let lab = DockerLab::open().await;
    let mut volume = volume(&lab);
    volume.memory.as_mut().unwrap().size = 3 << 20;
    lab.engine().create_volume(&volume).await.unwrap();
    let holder = holding(&lab, holder(&lab, "holder", &volume)).await;
    let large = |generation| placed(generation, vec![file("large", &vec![7; 1 << 20])]);
    for generation in ["a", "b", "c"] {
        done(&lab, &holder, large(generation)).await;
    }
    let (receipt, said) = deliver(lab.engine(), &holder, &parcel(vec![large("d")]))
        .await
        .unwrap();
    assert!(
        receipt.is_none() && said.contains("No space left on device"),
        "{said}"
    );
    let data = lab.engine().read_link(&holder, &format!("{TARGET}/..data")).await;
    assert_eq!(data.unwrap().as_deref(), Some("..c.3"));
    assert_eq!(lab.view(&holder).await.state, RunState::Running);
}

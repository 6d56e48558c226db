//! A session on a pipe, in time that is told.

use std::{collections::BTreeSet, fmt::Write as _};

use tokio::io::{AsyncReadExt, duplex};

use super::*;
use crate::{agent::protocol::Word, clock::System};

fn desk() -> Arc<Desk> {
    Desk::new("shop", Arc::new(System))
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_while_there_is_something_for_it_is_closed() {
    let desk = desk();
    let (mut peer, ours) = duplex(64);
    let session = tokio::spawn(serve(Arc::clone(&desk), ours));
    let mut orders = String::new();
    for number in 0..100 {
        writeln!(
            orders,
            "{{\"order\":\"set\",\"deployment\":\"d{number}\",\"sequence\":1,\"members\":[]}}"
        )
        .unwrap();
    }
    // Its replies fill the pipe, and then it is read no further.
    let wrote = timeout(STUCK * 2, peer.write_all(orders.as_bytes())).await;
    assert!(matches!(wrote, Ok(Err(_)) | Err(_)), "the pipe was taken empty");
    session.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_nothing_to_hear_stays() {
    let desk = desk();
    let (mut peer, ours) = duplex(4096);
    let session = tokio::spawn(serve(Arc::clone(&desk), ours));
    let mut greeting = [0; 256];
    let length = peer.read(&mut greeting).await.unwrap();
    let word: Word = serde_json::from_slice(&greeting[..length]).unwrap();
    assert!(matches!(word, Word::Hello { .. }));
    tokio::time::sleep(STUCK * 100).await;
    assert!(!session.is_finished());
    drop(peer);
    session.await.unwrap();
}

#[test]
fn what_the_operator_writes_is_read() {
    let order = Order::Only {
        deployments: BTreeSet::from(["web".to_owned()]),
    };
    let line = serde_json::to_vec(&order).unwrap();
    assert_eq!(read_order(&line), Ok(Some(order)));
    assert_eq!(read_order(b" \t\r"), Ok(None));
    assert_eq!(
        read_order(b"{\"order\":").unwrap_err(),
        "a line that is no JSON from its column 9 on"
    );
}

//! A rolling update with the real binary, behind a load balancer that follows the readiness probes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::support::{
    Backend, TestDatabase, on_postgres,
    process::{Service, get, query},
};

on_postgres!(rolling_out_fails_no_request,);

/// How often the load balancer sends the readiness probe.
const PROBE: Duration = Duration::from_millis(100);
const DAILY: &str = "{ dailyUsage { date visits } }";

async fn rolling_out_fails_no_request() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let variables = [("DATABASE_URL", database.url.as_str()), ("USAGE_LOG_INTERVAL", "off")];
    let mut old = Service::spawn(&variables);
    old.wait_for("/readiness_check", 200).await;

    let (targets, balanced) = watch::channel(vec![old.address]);
    let stop = Arc::new(AtomicBool::new(false));
    let (mut ready, probing) = balance(balanced, Arc::clone(&stop));
    ready.wait_for(|ready| !ready.is_empty()).await.unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> =
        (0..6).map(|_| tokio::spawn(ask_until(ready.clone(), Arc::clone(&stop), Arc::clone(&answered)))).collect();

    // As with `maxSurge: 1` and `maxUnavailable: 0`: the new pod is ready before the old one gets the signal to stop.
    let mut new = Service::spawn(&variables);
    targets.send(vec![old.address, new.address]).unwrap();
    ready.wait_for(|ready| ready.len() == 2).await.unwrap();
    old.signal("TERM");
    assert_eq!(old.ended().await.code(), Some(0), "{}", old.log());
    ready.wait_for(|ready| *ready == [new.address]).await.unwrap();
    // Wait until the new pod alone has answered 20 requests, and 100 were answered in all.
    let alone = answered.load(Ordering::Relaxed);
    while answered.load(Ordering::Relaxed) < (alone + 20).max(100) && !clients.iter().any(JoinHandle::is_finished) {
        tokio::time::sleep(PROBE).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    probing.await.unwrap();
    new.signal("TERM");
    assert_eq!(new.ended().await.code(), Some(0), "{}", new.log());
}

type Balancer = (watch::Receiver<Vec<SocketAddr>>, JoinHandle<()>);

/// Keeps the list of targets that were ready at the last probe.
fn balance(targets: watch::Receiver<Vec<SocketAddr>>, stop: Arc<AtomicBool>) -> Balancer {
    let (publish, ready) = watch::channel(Vec::new());
    let task = tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            let known = targets.borrow().clone();
            let mut answering = Vec::new();
            for target in known {
                if get(target, "/readiness_check").await.is_ok_and(|answer| answer.status == 200) {
                    answering.push(target);
                }
            }
            publish.send_replace(answering);
            tokio::time::sleep(PROBE).await;
        }
    });
    (ready, task)
}

/// Sends requests to ready targets only, and counts the answers; panics when a request fails.
async fn ask_until(ready: watch::Receiver<Vec<SocketAddr>>, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let targets = ready.borrow().clone();
        if targets.is_empty() {
            // No target is ready: on a busy machine a probe can take too long. A load balancer would wait too.
            tokio::time::sleep(PROBE).await;
            continue;
        }
        let target = targets[answered.load(Ordering::Relaxed) % targets.len()];
        let answer = query(target, DAILY).await.unwrap_or_else(|error| panic!("{target}: {error}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answered.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

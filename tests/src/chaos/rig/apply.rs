//! Makes the faults of a schedule happen, each at its time, and remembers from when to when each did.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    link::{Flow, Link},
    plant::Plant,
    schedule::{Act, Fault, Part},
};
use crate::{
    fakes::{otlp::Reply, server::Server},
    load::provider::Mood,
    system::process::{Process, ProcessError},
};

/// A fault as it happened.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    /// What was planned.
    pub fault: Fault,
    /// Just before it began.
    pub from: Instant,
    /// Just after it had begun: what was killed was dead.
    pub struck: Instant,
    /// Once all was as before; for a kill, once what was killed was ready again.
    pub to: Instant,
}

impl Happened {
    /// Whether it touches the time from `from` to `to`, or what is so near to it.
    pub fn touches(&self, from: Instant, to: Instant, near: Duration) -> bool {
        self.from <= to + near && from <= self.to + near
    }
}

/// Makes all of it happen, with `say` called at the beginning of each fault. Gives what happened, in the order in
/// which it ended.
pub async fn apply(
    plant: &Arc<Plant>,
    schedule: &[Fault],
    begun: Instant,
    mut say: impl FnMut(&str),
) -> Result<Vec<Happened>, ProcessError> {
    let happened = Arc::new(Mutex::new(Vec::new()));
    let mut under_way = JoinSet::new();
    for fault in schedule.iter().copied() {
        tokio::time::sleep_until((begun + fault.at).into()).await;
        say(&fault.to_string());
        let (plant, happened) = (Arc::clone(plant), Arc::clone(&happened));
        under_way.spawn(async move {
            let from = Instant::now();
            let mut struck = from;
            happen(&plant, fault, &mut struck).await?;
            let one = Happened { fault, from, struck, to: Instant::now() };
            happened.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            Ok::<_, ProcessError>(())
        });
    }
    while let Some(joined) = under_way.join_next().await {
        joined.unwrap_or(Ok(()))?;
    }
    Ok(std::mem::take(&mut happened.lock().unwrap_or_else(PoisonError::into_inner)))
}

async fn happen(plant: &Plant, fault: Fault, struck: &mut Instant) -> Result<(), ProcessError> {
    let Fault { lasts, part, act, .. } = fault;
    match part {
        Part::Envoy => signal(vec![&mut plant.envoy.lock().await.process], fault, struck).await,
        Part::Exporter(which) => match plant.exporters.get(which) {
            Some(exporter) => signal(vec![&mut exporter.lock().await.process], fault, struck).await,
            None => Ok(()),
        },
        Part::Exporters => {
            let (mut one, mut two) = (plant.exporters[0].lock().await, plant.exporters[1].lock().await);
            signal(vec![&mut one.process, &mut two.process], fault, struck).await
        }
        Part::Nats(which) => match plant.nats.get(which) {
            Some(nats) => signal(vec![&mut nats.lock().await.process], fault, struck).await,
            None => Ok(()),
        },
        Part::AllNats => {
            let mut all = Vec::new();
            for nats in &plant.nats {
                all.push(nats.lock().await);
            }
            signal(all.iter_mut().map(|nats| &mut nats.process).collect(), fault, struck).await
        }
        Part::Provider(which) => {
            if let Some(provider) = plant.providers.get(which) {
                let mood = match act {
                    Act::Fail(status) => Mood::Failing(status),
                    Act::Slow(ms) => Mood::Late(Duration::from_millis(ms)),
                    _ => Mood::Well,
                };
                answer(&provider.fake.server, fault, || provider.set(mood), || provider.set(Mood::Well))
                    .await;
            }
            Ok(())
        }
        Part::Endpoint(which) => {
            if let Some(endpoint) = plant.endpoints.get(which) {
                let reply = match act {
                    Act::Fail(status) => Reply::status(status),
                    Act::Hang => Reply::Nothing,
                    Act::Forget => Reply::TakeAndCut,
                    _ => Reply::Take,
                };
                let (worse, better) = (|| endpoint.answer(reply), || endpoint.answer(Reply::Take));
                answer(&endpoint.server, fault, worse, better).await;
            }
            Ok(())
        }
        Part::ToIngest => flow(act, lasts, |flow| plant.to_ingest.set(flow)).await,
        Part::ToNats(which) => flow(act, lasts, |flow| plant.part_from_nats(which, flow)).await,
        Part::AroundNats(which) => flow(act, lasts, |flow| plant.isolate(which, flow)).await,
        Part::ToProvider(which) => flow(act, lasts, |flow| set(plant.to_providers.get(which), flow)).await,
        Part::ToEndpoint(which) => flow(act, lasts, |flow| set(plant.to_endpoints.get(which), flow)).await,
    }
}

fn set(link: Option<&Link>, flow: Flow) {
    if let Some(link) = link {
        link.set(flow);
    }
}

async fn signal(mut all: Vec<&mut Process>, fault: Fault, struck: &mut Instant) -> Result<(), ProcessError> {
    let Fault { act, lasts, .. } = fault;
    for process in &mut all {
        if act == Act::Pause { process.pause()? } else { process.kill() }
    }
    *struck = Instant::now();
    tokio::time::sleep(lasts).await;
    // All at once: the nodes of a cluster wait for each other.
    for process in &mut all {
        if act == Act::Pause { process.resume()? } else { process.start_again()? }
    }
    for process in &mut all {
        process.ready().await?;
    }
    Ok(())
}

async fn answer(server: &Server, fault: Fault, worse: impl FnOnce(), better: impl FnOnce()) {
    let Fault { act, lasts, .. } = fault;
    if act == Act::Kill {
        server.stop().await;
        tokio::time::sleep(lasts).await;
        server.restart().await;
        return;
    }
    worse();
    tokio::time::sleep(lasts).await;
    better();
    if act == Act::Hang {
        // Those who were left waiting find out at once.
        server.restart().await;
    }
}

async fn flow(act: Act, lasts: Duration, set: impl Fn(Flow)) -> Result<(), ProcessError> {
    set(match act {
        Act::Cut => Flow::Cut,
        Act::Slow(ms) => Flow::Slow(Duration::from_millis(ms)),
        _ => Flow::Stalled,
    });
    tokio::time::sleep(lasts).await;
    set(Flow::Open);
    Ok(())
}

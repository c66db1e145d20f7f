//! Chaos with the ledger: load through Weir whole while a schedule drawn from a seed kills, pauses, slows and
//! partitions every component, and then the proof, from outside, that nothing was lost that was promised.
//!
//! The schedule is known before anything starts and is the same for the same seed. What is promised is in
//! [`super::verdict`]; it is judged from what callers, providers and endpoints recorded, not from what was hoped.

#![allow(
    clippy::indexing_slicing,
    reason = "pairs are indexed by places below 2, and a run fails by panicking"
)]

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::bail;

use super::{
    rig::{
        apply,
        observed::{Arrived, Observed},
        plant::Plant,
        schedule,
    },
    verdict::Verdict,
};
use crate::{
    load::{
        caller::Load,
        figures::{Gateway, Ledger},
    },
    system::wait,
};

/// How often Envoy's stats are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How long the last events may take to arrive: an exporter that was killed had some in its hands, and JetStream
/// gives them to another after 30 s.
const DRAIN: Duration = Duration::from_mins(3);

/// What is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For how long there is load.
    pub length: Duration,
    /// From which the schedule and the load are drawn.
    pub seed: u64,
    /// Nodes of NATS: 1 or 3.
    pub nodes: usize,
    /// Requests a second.
    pub rate: u32,
    /// Where the logs go when something does not hold; absent: nowhere.
    pub logs: Option<PathBuf>,
}

/// Runs it: the load, the schedule, and the verdict. `say` gets a line for each thing that happens.
pub async fn run(settings: &Settings, mut say: impl FnMut(&str)) -> anyhow::Result<Verdict> {
    let Settings { length, seed, nodes, rate, .. } = *settings;
    let schedule = schedule::draw(seed, nodes, length);
    say(&format!(
        "seed {seed}: {} faults in {:.0} s, {nodes} of nats, {rate} requests a second",
        schedule.len(),
        length.as_secs_f64()
    ));
    let plant = Plant::start(nodes).await?;
    let (stop, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let records = Arc::new(Mutex::new(Vec::new()));
    let (kept, ended) = (Arc::clone(&records), Arc::clone(&stop));
    let load = Load { address: plant.addresses.listen, rate, seed };
    let calling = tokio::spawn(load.run(ended, move |record| {
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }));
    let looking = tokio::spawn(look(Arc::clone(&plant), Arc::clone(&stop)));
    let happened = apply::apply(&plant, &schedule, begun, &mut say).await?;
    tokio::time::sleep_until((begun + length).into()).await;
    stop.store(true, Ordering::Relaxed);
    let (Ok(()), Ok(looks)) = (calling.await, looking.await) else {
        bail!("the load did not end as it should");
    };
    say(&format!("{:7.1} s  the load is over; waiting for the last events", begun.elapsed().as_secs_f64()));
    let (last_look, ledgers) = settled(&plant).await;
    say(&format!("{:7.1} s  at rest", begun.elapsed().as_secs_f64()));
    let observed = Observed {
        records: std::mem::take(&mut records.lock().unwrap_or_else(PoisonError::into_inner)),
        happened,
        looks,
        last_look,
        providers: [plant.providers[0].seen(), plant.providers[1].seen()],
        endpoints: [Arrived::at(&plant.endpoints[0]), Arrived::at(&plant.endpoints[1])],
        ledgers,
    };
    let verdict = Verdict::on(&observed);
    if let Some(dir) = settings.logs.as_ref().filter(|_| !verdict.is_good()) {
        match keep_logs(&plant, dir).await {
            Ok(()) => say(&format!("the logs are in {}", dir.display())),
            Err(error) => say(&format!("the logs could not be written to {}: {error}", dir.display())),
        }
    }
    Ok(verdict)
}

async fn look(plant: Arc<Plant>, stop: Arc<AtomicBool>) -> Vec<(Instant, Gateway)> {
    let mut looks = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        // When it was asked: what it answers is no older than that.
        let at = Instant::now();
        looks.extend(Gateway::read(plant.addresses.admin).await.map(|look| (at, look)));
        tokio::time::sleep(LOOK).await;
    }
    looks
}

/// What everybody says once nothing is under way any more, or the time for that is up.
async fn settled(plant: &Plant) -> (Gateway, [Ledgers; schedule::PAIR]) {
    let look = || async {
        let gateway = Gateway::read(plant.addresses.admin).await?;
        let ledgers = [Ledger::read(plant.admin_ports[0]).await?, Ledger::read(plant.admin_ports[1]).await?];
        Some((gateway, ledgers))
    };
    let at_rest = |(gateway, ledgers): &(Gateway, [Ledgers; schedule::PAIR])| {
        let mut all = ledgers.iter().flat_map(|ledgers| ledgers.values());
        let stored = ledgers[0].values().next().map(|ledger| ledger.stored);
        gateway.pending() == 0
            && gateway.streams == 0
            && all.all(|ledger| {
                ledger.backlog == 0 && ledger.sum() == ledger.stored && Some(ledger.stored) == stored
            })
    };
    // Twice in a row: a ledger may be looked at between two of its figures.
    let twice = || async {
        let before = look().await.filter(at_rest)?;
        tokio::time::sleep(LOOK * 2).await;
        look().await.filter(|now| *now == before)
    };
    let rest = wait::poll(DRAIN, twice).await;
    match rest {
        Some(rest) => rest,
        None => look().await.unwrap_or_default(),
    }
}

/// Ledgers by destination.
type Ledgers = std::collections::BTreeMap<String, Ledger>;

async fn keep_logs(plant: &Plant, dir: &PathBuf) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for (name, log) in plant.logs().await {
        std::fs::write(dir.join(format!("{name}.log")), log)?;
    }
    Ok(())
}

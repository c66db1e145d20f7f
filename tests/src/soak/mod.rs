//! The soak: Weir whole under a constant load for an hour, and whether anything grows.
//!
//! Every few seconds memory, file descriptors and backlogs are looked at from outside, written as CSV and, in the
//! end, as SVG. A series grows if its Theil–Sen slope after the warm-up is above its threshold. The run ends with
//! its ledger: as many events at the endpoint as requests were answered.

mod plot;
mod sample;

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    num::ParseFloatError,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;

use self::{
    plot::Series,
    sample::{Lap, Measure, SERIES, Sample, fds, rss_mib},
};
use crate::{
    fakes::otlp::Endpoint,
    load::{
        caller::{Ask, Load, Outcome, Record},
        figures::{Gateway, Ledger},
        gateway,
        provider::Provider,
    },
    measure::statistics,
    stack::{
        envoy::{self, Envoy},
        exporter::{self, Exporter},
        nats::Nats,
    },
    system::wait,
};

/// Envoy's workers.
const WORKERS: usize = 2;

/// What is before is warming up, of a run that is long enough.
const WARM_UP: Duration = Duration::from_mins(10);

/// How long the last events may take to arrive.
const DRAIN: Duration = Duration::from_mins(2);

/// Runs Weir under a constant load and says whether memory, file descriptors or backlogs grow.
#[derive(Clone, Debug, Parser)]
pub struct Settings {
    /// For how many minutes.
    #[arg(long = "minutes", value_name = "MINUTES", value_parser = minutes, default_value = "60")]
    pub length: Duration,
    /// Requests a second.
    #[arg(long, default_value_t = 300)]
    pub rate: u32,
    /// The kinds of requests are drawn from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Seconds between two looks.
    #[arg(long, value_parser = seconds, default_value = "5")]
    pub every: Duration,
    /// The directory for soak.csv and soak.svg.
    #[arg(long, default_value = "target/soak")]
    pub out: PathBuf,
    /// The exporter to run; by default the one beside this program.
    #[arg(long)]
    pub exporter: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<Duration, ParseFloatError> {
    Ok(Duration::from_secs_f64(text.parse::<f64>()?.max(0.1) * 60.0))
}

fn seconds(text: &str) -> Result<Duration, ParseFloatError> {
    Ok(Duration::from_secs_f64(text.parse::<f64>()?.max(0.5)))
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Report {
    /// To be shown.
    pub text: String,
    /// Whether nothing grew.
    pub flat: bool,
    /// Whether every request was answered as it should, and reported once.
    pub whole: bool,
}

/// One of the two judgements.
struct Judged {
    text: String,
    good: bool,
}

#[derive(Debug, Default)]
struct Tally {
    lap: Lap,
    answered: u64,
    left: u64,
    wrong: u64,
}

impl Tally {
    fn keep(&mut self, record: &Record) {
        match record.outcome {
            Outcome::Answered { status, whole } if whole && status == record.ask.refusal().unwrap_or(200) => {
                self.answered += 1;
                self.lap.answered += 1;
                if record.ask == Ask::Chat {
                    self.lap.chats.push(record.ended.saturating_duration_since(record.due));
                }
            }
            Outcome::Left => self.left += 1,
            _ => self.wrong += 1,
        }
    }
}

struct Rig {
    // Dropped in this order.
    envoy: Envoy,
    exporter: Exporter,
    nats: Nats,
    endpoint: Endpoint,
    provider: Provider,
}

impl Rig {
    async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let (provider, endpoint) = (Provider::start(false).await, Endpoint::counting().await);
        let nats = Nats::start().await?;
        let config = format!(
            "stream: {{ max_bytes: 2GiB }}\ndestinations:\n  one: {{ type: otlp, endpoint: \"http://{}/v1/traces\" }}\n",
            endpoint.address()
        );
        let program = settings.exporter.as_deref();
        let options = exporter::Options { config: Some(&config), program, ..exporter::Options::default() };
        let exporter = Exporter::with(&nats.url(), &options).await?;
        let (at, url) = (provider.address(), exporter.url());
        let options = envoy::Options { workers: WORKERS, ..envoy::Options::default() };
        let envoy = Envoy::start(&options, |own| gateway::yaml(own, [at; 2], &url)).await?;
        Ok(Self { envoy, exporter, nats, endpoint, provider })
    }

    /// `None` where Envoy or the exporter did not answer in time: a figure that was not read is none.
    async fn look(&self, minutes: f64, lap: &Lap, every: Duration) -> Option<Sample> {
        let gateway = Gateway::read(self.envoy.addresses.admin).await?;
        let ledgers = Ledger::read(self.exporter.admin_port).await?;
        let backlog: u64 = ledgers.values().map(|ledger| ledger.backlog).sum();
        let (envoy, exporter) = (self.envoy.process.id(), self.exporter.process.id());
        let (p50, p99) = lap.quantiles();
        let values = [
            rss_mib(envoy),
            rss_mib(exporter),
            gateway.memory as f64 / f64::from(1 << 20),
            rss_mib(self.nats.process.id()),
            fds(envoy),
            fds(exporter),
            gateway.pending() as f64,
            backlog as f64,
            lap.answered as f64 / every.as_secs_f64(),
            gateway.streams as f64,
            p50,
            p99,
        ];
        Some(Sample { minutes, values })
    }

    /// Waits until the outboxes and the backlog are empty.
    async fn drained(&self) -> (Gateway, Ledger) {
        let still = || async {
            let gateway = Gateway::read(self.envoy.addresses.admin).await?;
            let ledger = Ledger::read(self.exporter.admin_port).await?.remove("one")?;
            let empty = gateway.pending() == 0 && ledger.backlog == 0 && ledger.stored == gateway.accepted;
            Some((empty, gateway, ledger))
        };
        let _ = wait::poll(DRAIN, || async { still().await.filter(|(empty, ..)| *empty) }).await;
        still().await.map_or_else(Default::default, |(_, gateway, ledger)| (gateway, ledger))
    }
}

/// Runs it. `say` gets a line now and then.
pub async fn run(settings: &Settings, mut say: impl FnMut(&str)) -> anyhow::Result<Report> {
    fs::create_dir_all(&settings.out)?;
    let mut csv = File::create(settings.out.join("soak.csv"))?;
    writeln!(csv, "{}", sample::header())?;
    let rig = Rig::start(settings).await?;
    let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Tally::default())));
    let load = Load { address: rig.envoy.addresses.listen, rate: settings.rate, seed: settings.seed };
    let kept = Arc::clone(&tally);
    let lock =
        |tally: &Mutex<Tally>| std::mem::take(&mut tally.lock().unwrap_or_else(PoisonError::into_inner).lap);
    let calling = tokio::spawn(load.run(Arc::clone(&stop), move |record| {
        kept.lock().unwrap_or_else(PoisonError::into_inner).keep(&record);
    }));
    let (begun, mut samples, mut unread) = (Instant::now(), Vec::new(), 0);
    let mut next = begun + settings.every;
    while begun.elapsed() < settings.length {
        tokio::time::sleep_until(next.into()).await;
        next += settings.every;
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        let Some(sample) = rig.look(minutes, &lock(&tally), settings.every).await else {
            unread += 1;
            continue;
        };
        writeln!(csv, "{}", sample.line())?;
        if samples.len() % 12 == 0 {
            say(&line(&sample));
        }
        samples.push(sample);
    }
    stop.store(true, Ordering::Relaxed);
    let _ = calling.await;
    let (gateway, ledger) = rig.drained().await;
    let tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    let ledger = judge_ledger(&rig, &tally, &gateway, &ledger);
    if unread > 0 {
        say(&format!("{unread} looks were not answered in time, and left out"));
    }
    let growth = judge_growth(settings, &samples)?;
    let (flat, whole) = (growth.good, ledger.good && tally.answered > 0);
    Ok(Report { text: format!("{}\n{}", growth.text, ledger.text), flat, whole })
}

fn line(sample: &Sample) -> String {
    let shown = SERIES.iter().zip(sample.values).map(|(series, value)| format!("{} {value:.1}", series.name));
    format!("{:6.1} min  {}", sample.minutes, shown.collect::<Vec<_>>().join("  "))
}

fn judge_ledger(rig: &Rig, tally: &Tally, gateway: &Gateway, ledger: &Ledger) -> Judged {
    let delivered = rig.endpoint.events() as u64;
    let requests = tally.answered + tally.left;
    let good = tally.wrong == 0
        && gateway.pending() + gateway.dropped == 0
        && [gateway.created, gateway.accepted, ledger.stored, ledger.fate("delivered"), delivered]
            .iter()
            .all(|count| *count == requests)
        && ledger.sum() == ledger.stored;
    let text = format!(
        "requests answered {} (left on purpose {}, wrong {}); provider served {}\n\
         events created {} = accepted {} + dropped {} + pending {}; stored {} = delivered {} + backlog {} (and else {}); at the endpoint {delivered}, repeated {}\n\
         {}\n",
        tally.answered,
        tally.left,
        tally.wrong,
        rig.provider.count(),
        gateway.created,
        gateway.accepted,
        gateway.dropped,
        gateway.pending(),
        ledger.stored,
        ledger.fate("delivered"),
        ledger.backlog,
        ledger.sum() - ledger.fate("delivered") - ledger.backlog,
        rig.endpoint.repeated(),
        if good { "every request is at the endpoint once" } else { "the ledger does NOT add up" },
    );
    Judged { text, good }
}

/// Ten minutes, or a third of a run that is shorter than half an hour.
fn warm_up(length: Duration) -> Duration {
    WARM_UP.min(length / 3)
}

fn judge_growth(settings: &Settings, samples: &[Sample]) -> io::Result<Judged> {
    let warm = warm_up(settings.length).as_secs_f64() / 60.0;
    let mut text = format!(
        "after a warm-up of {warm:.1} min, {} samples:\n{:36} {:>9} {:>9} {:>9} {:>12} {:>10}\n",
        samples.iter().filter(|sample| sample.minutes >= warm).count(),
        "series",
        "first",
        "median",
        "last",
        "slope per h",
        "may be"
    );
    let (mut good, mut all) = (true, Vec::new());
    for (place, Measure { title, rise, .. }) in SERIES.into_iter().enumerate() {
        let point = |sample: &Sample| (sample.minutes, sample.values.get(place).copied().unwrap_or_default());
        let points: Vec<(f64, f64)> = samples.iter().map(point).collect();
        let judged: Vec<(f64, f64)> =
            points.iter().copied().filter(|(minutes, _)| *minutes >= warm).collect();
        let slope = statistics::theil_sen(&judged) * 60.0;
        let flat = rise.is_none_or(|rise| slope <= rise);
        good &= flat;
        let value = |point: Option<&(f64, f64)>| point.map_or(0.0, |(_, value)| *value);
        let limit = rise.map_or_else(|| "-".to_owned(), |rise| format!("{rise}"));
        let _ = writeln!(
            text,
            "{title:36} {:9.1} {:9.1} {:9.1} {slope:+12.2} {limit:>10}{}",
            value(judged.first()),
            statistics::median(judged.iter().map(|(_, value)| *value).collect()),
            value(judged.last()),
            if flat { "" } else { "  RISES" },
        );
        let note = format!("slope {slope:+.2} per hour");
        all.push(Series { title: title.to_owned(), note, points });
    }
    let title = format!(
        "{} requests a second for {:.0} minutes, {WORKERS} workers; shaded: warm-up",
        settings.rate,
        settings.length.as_secs_f64() / 60.0
    );
    fs::write(settings.out.join("soak.svg"), plot::svg(&title, &all, warm))?;
    Ok(Judged { text, good })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(out: PathBuf) -> Settings {
        let (length, every) = (Duration::from_mins(60), Duration::from_secs(5));
        Settings { length, rate: 1, seed: 1, every, out, exporter: None }
    }

    fn samples(envoy_rss: impl Fn(f64) -> f64) -> Vec<Sample> {
        let at = |step: u32| {
            let minutes = f64::from(step) / 12.0;
            let mut values = [5.0; SERIES.len()];
            values[0] = envoy_rss(minutes);
            Sample { minutes, values }
        };
        (1..=720).map(at).collect()
    }

    #[test]
    fn what_grows_only_while_it_warms_up_is_good_and_what_goes_on_growing_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = settings(dir.path().to_owned());
        let flat =
            judge_growth(&settings, &samples(|minutes| 50.0 + minutes.min(9.0) * 4.0)).expect("a report");
        assert!(flat.good, "{}", flat.text);
        let rising = judge_growth(&settings, &samples(|minutes| 50.0 + minutes * 0.1)).expect("a report");
        assert!(!rising.good && rising.text.contains("RISES"), "{}", rising.text);
    }

    #[test]
    fn a_short_run_warms_up_for_a_third_of_it() {
        assert_eq!(warm_up(Duration::from_mins(60)), WARM_UP);
        assert_eq!(warm_up(Duration::from_mins(3)), Duration::from_mins(1));
    }
}

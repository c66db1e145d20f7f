//! What a process has used, and on which core a program runs.

use std::{ffi::OsString, fs, path::PathBuf, time::Duration};

use anyhow::{Context, bail};

use crate::system::tools;

/// Which core is the gateways', and which is everybody else's.
#[derive(Clone, Debug)]
pub struct Pins {
    taskset: PathBuf,
    /// The core of the Envoys.
    pub gateway: usize,
    /// The core of all others.
    pub others: usize,
}

impl Pins {
    /// The first two cores that this process may use. Fails when there are fewer, or util-linux's `taskset` is
    /// missing.
    pub fn find() -> anyhow::Result<Self> {
        let taskset = tools::in_path("taskset").context("taskset is missing: it comes with util-linux")?;
        let allowed = rustix::thread::sched_getaffinity(None)?;
        let mut cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match (cores.next(), cores.next()) {
            (Some(gateway), Some(others)) => Ok(Self { taskset, gateway, others }),
            _ => bail!("two cores are needed, one for Envoy and one for all others"),
        }
    }

    /// The program and arguments that run this one on that core.
    pub fn pinned(&self, core: usize, program: PathBuf, args: Vec<OsString>) -> (PathBuf, Vec<OsString>) {
        let mut all: Vec<OsString> = vec!["-c".into(), core.to_string().into(), program.into()];
        all.extend(args);
        (self.taskset.clone(), all)
    }

    /// Puts the calling thread, and those that it will start, on the core of all others.
    pub fn move_here(&self) -> anyhow::Result<()> {
        let mut set = rustix::thread::CpuSet::new();
        set.set(self.others);
        Ok(rustix::thread::sched_setaffinity(None, &set)?)
    }
}

/// How much CPU time a process has used, of user and system, all its threads together (proc(5),
/// `/proc/pid/stat`, fields 14 and 15).
pub fn time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // Its name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("/proc/pid/stat has another form than expected")?;
    let ticks = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: Result<u64, _> = ticks.sum();
    let ticks = ticks.context("/proc/pid/stat has another form than expected")?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// How much memory a process has resident, in bytes (proc(5), `/proc/pid/statm`).
pub fn resident_bytes(pid: u32) -> anyhow::Result<f64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).with_context(|| format!("process {pid}"))?;
    let pages = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.context("/proc/pid/statm has another form than expected")?;
    Ok(pages as f64 * rustix::param::page_size() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).expect("memory") > 1e6);
        time(pid).expect("time");
        assert!(time(u32::MAX).is_err());
    }
}

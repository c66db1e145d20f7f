//! Free TCP ports on loopback.
//!
//! None is given twice, not even to two processes that run side by side: each takes ports from
//! blocks that it alone holds the lock of. (Two Envoys on one port would share its connections
//! and neither would complain.) None comes from the range that the kernel gives to outgoing
//! connections: a port whose server is down for a moment must not be taken by somebody's client in
//! between. Other programs know nothing of this, so whoever starts a server tries again when the
//! address is in use.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rustix::process::getuid;

/// The first port: above those of well-known services.
const FIRST: u16 = 15_000;

/// Ports in a block.
const BLOCK: u16 = 100;

/// Blocks. They end below Linux's default range for outgoing connections (32768 to 60999).
const BLOCKS: u16 = 170;

static HELD: Mutex<Held> = Mutex::new(Held { locks: Vec::new(), ports: Vec::new() });

/// What this process may take ports from.
struct Held {
    /// The locks of its blocks, held as long as it lives.
    locks: Vec<File>,
    /// The ports that have not been given.
    ports: Vec<u16>,
}

/// A port of 127.0.0.1 that nobody listens on and that nobody has been given. `AddrInUse` when every block is held by
/// others or used up; else what locking gives.
pub fn free() -> io::Result<u16> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        match held.ports.pop() {
            Some(port) if is_free(port) => return Ok(port),
            Some(_) => {}
            None => hold_another(&mut held)?,
        }
    }
}

fn hold_another(held: &mut Held) -> io::Result<()> {
    let dir = PathBuf::from(format!("/tmp/weir-ports-{}", getuid().as_raw()));
    fs::create_dir_all(&dir)?;
    let start = fastrand::u16(..BLOCKS);
    for offset in 0..BLOCKS {
        let block = (start + offset) % BLOCKS;
        let lock = File::create(dir.join(block.to_string()))?;
        // One that this process holds already is locked, too.
        if lock.try_lock().is_ok() {
            let first = FIRST + block * BLOCK;
            held.ports.extend(first..first + BLOCK);
            held.locks.push(lock);
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "every block of ports is taken by other processes"))
}

/// Whether a server could listen on this port of 127.0.0.1 now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let count = usize::from(BLOCK) * 2 + 1;
        let ports: HashSet<u16> = (0..count).map(|_| free().expect("a port")).collect();
        assert_eq!(ports.len(), count);
        assert!(ports.iter().all(|port| (FIRST..32_768).contains(port)));
    }

    #[test]
    fn a_port_with_a_listener_is_not_free() {
        let port = free().expect("a port");
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
        assert!(!is_free(port));
        drop(listener);
        assert!(is_free(port));
    }
}

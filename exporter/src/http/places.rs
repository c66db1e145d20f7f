//! How many connections a listener has at once, in all and of one peer.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// One peer gets this part of a listener's places at most: half.
const PEER_SHARE: usize = 2;

/// The bits of an IPv6 address that name a network rather than a host: whoever has one address has all of them.
const NETWORK: u128 = !0 << 64;

/// The places of a listener.
#[derive(Clone, Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    of_one_peer: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    /// So many in all, one at least.
    pub(super) fn new(all: usize) -> Self {
        let all = all.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(all)),
            of_one_peer: all.div_ceil(PEER_SHARE),
            taken: Arc::default(),
        }
    }

    /// A place, once one is free.
    pub(super) async fn free(&self) -> Result<Free, AcquireError> {
        let permit = Arc::clone(&self.all).acquire_owned().await?;
        Ok(Free { permit, places: self.clone() })
    }
}

/// A free place.
#[derive(Debug)]
pub(super) struct Free {
    permit: OwnedSemaphorePermit,
    places: Places,
}

impl Free {
    /// The place as a peer's; nothing where it has as many as one may have. What has no address, a Unix socket, is
    /// counted among all alone.
    pub(super) fn taken_by(self, peer: Option<IpAddr>) -> Option<Taken> {
        let Self { permit, places } = self;
        let peer = peer.map(network);
        if let Some(peer) = peer {
            let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let count = taken.entry(peer).or_default();
            if *count >= places.of_one_peer {
                return None;
            }
            *count = count.saturating_add(1);
        }
        Some(Taken { _permit: permit, taken: places.taken, peer })
    }
}

/// A place that a connection has, until this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    _permit: OwnedSemaphorePermit,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    peer: Option<IpAddr>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(peer) = self.peer else { return };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&peer);
            }
        }
    }
}

/// Whom an address belongs to: itself, or all of its IPv6 network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & NETWORK).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_peer_gets_half_and_what_it_gives_back_it_may_have_again() {
        let places = Places::new(5);
        let peer: Option<IpAddr> = Some("2001:db8::1".parse().unwrap());
        let neighbour: Option<IpAddr> = Some("2001:db8::2".parse().unwrap());
        let take = async |peer| places.free().await.unwrap().taken_by(peer);
        let held = [take(peer).await.unwrap(), take(neighbour).await.unwrap(), take(peer).await.unwrap()];
        assert!(take(peer).await.is_none());
        let other = take(Some("::ffff:192.0.2.1".parse().unwrap())).await;
        assert!(other.is_some() && take(None).await.is_some());
        drop(held);
        assert!(take(neighbour).await.is_some());
        drop(other);
        assert!(places.taken.lock().unwrap().is_empty());
    }
}

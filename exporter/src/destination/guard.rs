//! Addresses that nobody who only has the page may reach through the exporter: link-local ones and the metadata
//! services of clouds, which hand out credentials to whoever asks from inside.
//!
//! A name is resolved by [`Guarded`] at every connection, and what it gives is what is connected to: there is no
//! second look-up that could say something else.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// Names of metadata services, whatever they resolve to.
const METADATA_NAMES: [&str; 8] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Addresses of metadata services outside of the link-local ranges: Alibaba Cloud, Azure, Oracle Cloud.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The same of AWS (two forms) and Google Cloud.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Why an address is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Only neighbours have such an address, metadata services above all.
    #[error("is a link-local address, where clouds serve credentials: nothing is sent there")]
    LinkLocal,
    /// It hands out credentials.
    #[error("is a cloud's metadata service: nothing is sent there")]
    Metadata,
    /// It is nobody's address.
    #[error("is no address of a single host")]
    NoHost,
}

/// Whether an address may be connected to.
///
/// # Errors
///
/// [`Forbidden`], with why not.
pub fn allowed(address: IpAddr) -> Result<(), Forbidden> {
    match address {
        IpAddr::V4(v4) => allowed_v4(v4),
        IpAddr::V6(v6) => {
            if METADATA_V6.contains(&v6) {
                return Err(Forbidden::Metadata);
            }
            if v6.is_unicast_link_local() {
                return Err(Forbidden::LinkLocal);
            }
            if v6.is_unspecified() || v6.is_multicast() {
                return Err(Forbidden::NoHost);
            }
            embedded(v6).map_or(Ok(()), allowed_v4)
        }
    }
}

fn allowed_v4(v4: Ipv4Addr) -> Result<(), Forbidden> {
    if METADATA_V4.contains(&v4) {
        Err(Forbidden::Metadata)
    } else if v4.is_link_local() {
        Err(Forbidden::LinkLocal)
    } else if v4.octets().first() == Some(&0) || v4.is_multicast() || v4.is_broadcast() {
        Err(Forbidden::NoHost)
    } else {
        Ok(())
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, translated (RFC 6052) or by 6to4.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        // ::1 is no IPv4 address.
        [0, 0, 0, 0, 0, 0, 0, 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Whether a URL may be connected to, as far as it says by itself.
///
/// # Errors
///
/// [`Forbidden`], with why not.
pub fn allowed_url(url: &Url) -> Result<(), Forbidden> {
    match url.host() {
        Some(url::Host::Ipv4(v4)) => allowed(v4.into()),
        Some(url::Host::Ipv6(v6)) => allowed(v6.into()),
        Some(url::Host::Domain(name)) => allowed_name(name),
        None => Err(Forbidden::NoHost),
    }
}

fn allowed_name(name: &str) -> Result<(), Forbidden> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if METADATA_NAMES.contains(&name.as_str()) { Err(Forbidden::Metadata) } else { Ok(()) }
}

/// Resolves names, and gives none whose address is forbidden.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guarded;

impl Guarded {
    /// The addresses of a name, all of which may be connected to.
    ///
    /// # Errors
    ///
    /// The resolver's, or [`Forbidden`] within an `io::Error` where one of them may not.
    pub async fn resolve(self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let refused = |why| io::Error::new(io::ErrorKind::PermissionDenied, why);
        allowed_name(name).map_err(refused)?;
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
        // One that is forbidden among others is no accident.
        found.iter().try_for_each(|address| allowed(address.ip())).map_err(refused)?;
        Ok(found)
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = *self;
        Box::pin(async move {
            let found = guarded.resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_spelling() {
        for url in [
            "http://169.254.169.254/latest",
            "http://169.254.0.1",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://0251.0376.0251.0376/",
            "http://169.254.43518/",
            "http://[fe80::1]:4318",
            "http://[febf::1]",
            "http://[::ffff:169.254.169.254]",
            "http://[::169.254.169.254]",
            "http://[64:ff9b::a9fe:a9fe]",
            "http://[2002:a9fe:a9fe::1]",
            "http://[fd00:ec2::254]",
            "http://100.100.100.200",
            "http://168.63.129.16",
            "http://metadata.google.internal/v1",
            "http://METADATA.google.internal./v1",
            "http://metadata",
            "http://0.0.0.0",
            "http://[::]",
            "http://224.0.0.1",
            "http://255.255.255.255",
        ] {
            assert!(allowed_url(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
    }

    #[test]
    fn hosts_loopback_and_private_addresses_are_let_through() {
        for url in [
            "http://127.0.0.1:4318",
            "http://[::1]:4318",
            "http://10.0.0.7",
            "http://192.168.1.2",
            "http://[fd12::7]",
            "https://acme.middleware.io",
            "http://metadata.example.com",
            "http://[::ffff:10.0.0.7]",
        ] {
            assert_eq!(allowed_url(&Url::parse(url).unwrap()), Ok(()), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_what_it_leads_to_is_looked_at() {
        assert!(Guarded.resolve("localhost", 1).await.unwrap().iter().all(|at| at.ip().is_loopback()));
        for name in ["169.254.169.254", "fe80::1", "metadata.google.internal"] {
            let refused = Guarded.resolve(name, 1).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{name}");
        }
    }
}

//! Addresses that nobody who only has the page may reach through the exporter: link-local ones and the metadata
//! services of clouds, which hand out credentials to whoever asks from inside; the exporter's and Envoy's own ports;
//! and, where others than this machine's users have the page, this machine.
//!
//! A name is resolved by [`Guarded`] at every connection, and what it gives is what is connected to: there is no
//! second look-up that could say something else. An IPv6 address is judged by every IPv4 address that it may lead to.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{Mutex, PoisonError},
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

/// The networks, of 32 bits, that the same are in: of AWS (metadata, EKS Pod Identity), Google Cloud, Oracle Cloud and
/// Scaleway.
const METADATA_V6: [[u16; 2]; 4] = [[0xfd00, 0xec2], [0xfd20, 0xce], [0xfd00, 0xc1], [0xfd00, 0x42]];

/// Where the exporter listens by default, and where Envoy's admin interface does: as rendered here, of
/// Istio's proxies, of Envoy Gateway's.
const ADMIN_PORTS: [u16; 6] = [4319, 4320, 4321, 9901, 15000, 19000];

/// The ports that this process listens on.
static OWN_PORTS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Notes a port that this process listens on: nothing that is entered on the page is sent there.
pub fn listens_on(port: u16) {
    OWN_PORTS.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
}

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
    /// It is this machine, and whoever has the page is elsewhere.
    #[error(
        "is the exporter's own machine, which is not for a page that others reach; exporter.yaml can allow it: \
         settings: {{ loopback: true }}"
    )]
    Loopback,
    /// The exporter or Envoy listens there.
    #[error("is a port of the exporter's or of Envoy's own on this machine: nothing is sent there")]
    Own,
}

/// What may be reached by what is entered on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Whether this machine's loopback addresses may be.
    pub loopback: bool,
}

impl Guard {
    /// Whether an address may be connected to.
    ///
    /// # Errors
    ///
    /// [`Forbidden`], with why not.
    pub fn allows(self, address: IpAddr, port: u16) -> Result<(), Forbidden> {
        match address {
            IpAddr::V4(v4) => self.allows_v4(v4, port)?,
            IpAddr::V6(v6) => {
                if METADATA_V6.iter().any(|network| v6.segments().starts_with(network)) {
                    return Err(Forbidden::Metadata);
                }
                if v6.is_unicast_link_local() {
                    return Err(Forbidden::LinkLocal);
                }
                if v6.is_unspecified() || v6.is_multicast() {
                    return Err(Forbidden::NoHost);
                }
                if v6.is_loopback() {
                    self.allows_loopback(port)?;
                } else {
                    embedded(v6).into_iter().flatten().try_for_each(|v4| self.allows_v4(v4, port))?;
                }
            }
        }
        if is_reserved(port) && is_own(address) { Err(Forbidden::Own) } else { Ok(()) }
    }

    fn allows_v4(self, v4: Ipv4Addr, port: u16) -> Result<(), Forbidden> {
        if METADATA_V4.contains(&v4) {
            Err(Forbidden::Metadata)
        } else if v4.is_link_local() {
            Err(Forbidden::LinkLocal)
        } else if v4.octets().first() == Some(&0) || v4.is_multicast() || v4.is_broadcast() {
            Err(Forbidden::NoHost)
        } else if v4.is_loopback() {
            self.allows_loopback(port)
        } else {
            Ok(())
        }
    }

    fn allows_loopback(self, port: u16) -> Result<(), Forbidden> {
        if is_reserved(port) {
            Err(Forbidden::Own)
        } else if self.loopback {
            Ok(())
        } else {
            Err(Forbidden::Loopback)
        }
    }

    /// Whether a URL may be connected to, as far as it says by itself.
    ///
    /// # Errors
    ///
    /// [`Forbidden`], with why not.
    pub fn allows_url(self, url: &Url) -> Result<(), Forbidden> {
        let port = url.port_or_known_default().unwrap_or_default();
        match url.host() {
            Some(url::Host::Ipv4(v4)) => self.allows(v4.into(), port),
            Some(url::Host::Ipv6(v6)) => self.allows(v6.into(), port),
            Some(url::Host::Domain(name)) => self.allows_name(name, port),
            None => Err(Forbidden::NoHost),
        }
    }

    fn allows_name(self, name: &str, port: u16) -> Result<(), Forbidden> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if METADATA_NAMES.contains(&name.as_str()) {
            Err(Forbidden::Metadata)
        } else if name == "localhost" || name.ends_with(".localhost") {
            self.allows_loopback(port)
        } else {
            Ok(())
        }
    }
}

fn is_reserved(port: u16) -> bool {
    ADMIN_PORTS.contains(&port) || OWN_PORTS.lock().unwrap_or_else(PoisonError::into_inner).contains(&port)
}

/// Whether an address is one of this machine's: what is sent to it would come from it. Nothing is sent to find out.
fn is_own(address: IpAddr) -> bool {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    address.is_loopback() || from.is_ok_and(|from| from.ip() == address)
}

/// The IPv4 addresses that an IPv6 address may lead to: mapped, compatible and translated ones (RFC 4291, RFC 2765),
/// NAT64's with every length of prefix (RFC 6052, RFC 8215), 6to4's (RFC 3056), Teredo's, whose client's is inverted
/// (RFC 4380), and ISATAP's (RFC 5214).
fn embedded(v6: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    // Bits 64 to 71 are no part of an address that begins before them.
    let [.., d, e, f, g, h] = v6.segments();
    match v6.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            [v4(high, low), None, None, None]
        }
        [0x64, 0xff9b, 1, ..] => {
            let all = [
                v4(d, (e << 8) | (f >> 8)),
                v4((d << 8) | (e & 0xff), f),
                v4((e << 8) | (f >> 8), (f << 8) | (g >> 8)),
                v4(g, h),
            ];
            // With one length of prefix it is the address, with another the zeros beside it, which are no host's.
            all.map(|v4| v4.filter(|v4| v4.octets().first() != Some(&0)))
        }
        [0x64, 0xff9b, ..] => [v4(g, h), None, None, None],
        [0x2002, high, low, ..] => [v4(high, low), None, None, None],
        [0x2001, 0, high, low, ..] => [v4(high, low), v4(!g, !h), None, None],
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => [v4(high, low), None, None, None],
        _ => [None; 4],
    }
}

/// Resolves names for connections to a port, and gives none whose address is forbidden.
#[derive(Clone, Copy, Debug)]
pub struct Guarded {
    /// What may be reached.
    pub guard: Guard,
    /// The port that will be connected to.
    pub port: u16,
}

impl Guarded {
    /// For connections to a URL.
    pub fn to(guard: Guard, url: &Url) -> Self {
        Self { guard, port: url.port_or_known_default().unwrap_or_default() }
    }

    /// The addresses of a name, all of which may be connected to.
    ///
    /// # Errors
    ///
    /// The resolver's, or [`Forbidden`] within an `io::Error` where one of them may not.
    pub async fn resolve(self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let Self { guard, port } = self;
        let refused = |why| io::Error::new(io::ErrorKind::PermissionDenied, why);
        guard.allows_name(name, port).map_err(refused)?;
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name, port)).await?.collect();
        // One that is forbidden among others is no accident.
        found.iter().try_for_each(|address| guard.allows(address.ip(), port)).map_err(refused)?;
        Ok(found)
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = *self;
        Box::pin(async move {
            let found = guarded.resolve(name.as_str()).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Guard = Guard { loopback: true };
    const REMOTE: Guard = Guard { loopback: false };

    fn judged(guard: Guard, url: &str) -> Result<(), Forbidden> {
        guard.allows_url(&Url::parse(url).unwrap())
    }

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
            "http://[::ffff:0:a9fe:a9fe]",
            "http://[64:ff9b:1::a9fe:a9fe]",
            "http://[64:ff9b:1:a9fe:a9:fe00::]",
            "http://[64:ff9b:1:a9:fe:a9fe::]",
            "http://[64:ff9b:1:0:a9:fea9:fe00:0]",
            "http://[2001:0:a9fe:a9fe::1]",
            "http://[2001:0:4136:e378:8000:63bf:5601:5601]",
            "http://[2001:db8::5efe:169.254.169.254]",
            "http://[fd00:ec2::254]",
            "http://[fd00:ec2::23]",
            "http://[fd00:ec2:0::253]",
            "http://[fd20:ce::254]",
            "http://[fd00:c1::a9fe:a9fe]",
            "http://[fd00:42::42]",
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
            assert!(judged(LOCAL, url).is_err(), "{url}");
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
            assert_eq!(judged(LOCAL, url), Ok(()), "{url}");
        }
        for url in [
            "http://[64:ff9b::a00:7]",
            "http://[64:ff9b:1::a00:7]",
            "http://[2002:c000:201::1]",
            "http://[2001:db8::1]",
        ] {
            assert_eq!(judged(REMOTE, url), Ok(()), "{url}");
        }
    }

    #[test]
    fn this_machine_is_not_for_a_page_that_others_reach() {
        for url in [
            "http://127.0.0.1:4318",
            "http://127.1.2.3",
            "http://0x7f000001",
            "http://localhost:4318",
            "http://LOCALHOST.:4318",
            "http://a.localhost",
            "http://[::1]:4318",
            "http://[::ffff:127.0.0.1]:4318",
            "http://[::127.0.0.1]:4318",
            "http://[64:ff9b::7f00:1]:4318",
            "http://[64:ff9b:1::7f00:1]:4318",
            "http://[2002:7f00:1::]:4318",
        ] {
            assert_eq!(judged(REMOTE, url), Err(Forbidden::Loopback), "{url}");
            assert_eq!(judged(LOCAL, url), Ok(()), "{url}");
        }
    }

    #[tokio::test]
    async fn ports_of_the_exporter_and_of_envoys_admin_interface_are_never_reached() {
        let (listener, own) = crate::http::listen::tcp("test", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        for url in [
            "http://127.0.0.1:9901/quitquitquit",
            "http://localhost:15000/quitquitquit",
            "http://[::1]:19000",
            "http://[::ffff:127.0.0.1]:4320",
            "http://127.0.0.2:4319",
            &format!("http://{own}"),
            &format!("http://localhost:{}", own.port()),
        ] {
            assert_eq!(judged(LOCAL, url), Err(Forbidden::Own), "{url}");
        }
        // On another machine they are that machine's.
        assert_eq!(judged(LOCAL, "http://192.0.2.1:4320"), Ok(()));
        drop(listener);
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_what_it_leads_to_is_looked_at() {
        let local = Guarded { guard: LOCAL, port: 1 };
        assert!(local.resolve("localhost").await.unwrap().iter().all(|at| at.ip().is_loopback()));
        for name in ["169.254.169.254", "fe80::1", "metadata.google.internal"] {
            let refused = local.resolve(name).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{name}");
        }
    }
}

//! Networks whose peers count as ours: `10.0.0.0/8`, `::1`, `192.0.2.7`.

use std::net::IpAddr;
use std::str::FromStr;

/// An address and the bits of it that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is neither an address nor `address/prefix`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be an IP address or a network such as 10.0.0.0/8")]
pub struct NetworkError;

impl Network {
    /// Whether `ip` belongs to it. An IPv4-mapped IPv6 address counts as the IPv4 one.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address.to_canonical(), ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same_prefix(net.to_bits().into(), ip.to_bits().into(), self.prefix, 32)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same_prefix(net.to_bits(), ip.to_bits(), self.prefix, 128),
            _ => false,
        }
    }
}

fn same_prefix(net: u128, ip: u128, prefix: u8, width: u8) -> bool {
    let ignored = u32::from(width.saturating_sub(prefix));
    net.checked_shr(ignored).unwrap_or(0) == ip.checked_shr(ignored).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| NetworkError)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(width);
        if prefix > width { Err(NetworkError) } else { Ok(Self { address, prefix }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_at_their_edges() {
        let of = |net: &str, ip: &str| Network::from_str(net).unwrap().contains(ip.parse().unwrap());
        assert!(of("10.0.0.0/8", "10.255.255.255") && !of("10.0.0.0/8", "11.0.0.0"));
        assert!(of("192.0.2.7", "192.0.2.7") && !of("192.0.2.7", "192.0.2.8"));
        assert!(of("0.0.0.0/0", "203.0.113.9") && !of("0.0.0.0/0", "::1"));
        assert!(of("2001:db8::/32", "2001:db8:ffff::1") && !of("2001:db8::/32", "2001:db9::"));
        assert!(of("10.0.0.0/8", "::ffff:10.1.2.3"));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/x", "host", "::/129"] {
            assert_eq!(Network::from_str(bad), Err(NetworkError), "{bad}");
        }
    }
}

//! Which subnet a new network gets: the first /24 of the pool that overlaps nothing in use. Docker's own pools end at
//! about 30 networks, and with an error that says 404. Pure: what is in use is passed in.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// A range of IPv4 addresses in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    base: u32,
    bits: u8,
}

/// Text that is not a range of IPv4 addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a range of IPv4 addresses such as 10.213.0.0/16")]
pub struct NotCidr(String);

impl Cidr {
    fn mask(bits: u8) -> u32 {
        if bits == 0 {
            0
        } else {
            u32::MAX << (32 - bits.min(32))
        }
    }

    fn overlaps(self, other: Self) -> bool {
        let mask = Self::mask(self.bits.min(other.bits));
        self.base & mask == other.base & mask
    }

    /// The last address before the one that means all; none where there is no room for a host besides the gateway.
    #[must_use]
    pub fn last_host(self) -> Option<Ipv4Addr> {
        (self.bits <= 29).then(|| Ipv4Addr::from((self.base | !Self::mask(self.bits)) - 1))
    }

    /// Whether /24 networks fit into it.
    #[must_use]
    pub fn is_pool(self) -> bool {
        self.bits <= 24
    }
}

impl std::str::FromStr for Cidr {
    type Err = NotCidr;

    fn from_str(text: &str) -> Result<Self, NotCidr> {
        let parse = || {
            let (address, bits) = text.split_once('/')?;
            let bits: u8 = bits.parse().ok().filter(|bits| *bits <= 32)?;
            let base = u32::from(address.parse::<Ipv4Addr>().ok()?) & Self::mask(bits);
            Some(Self { base, bits })
        };
        parse().ok_or_else(|| NotCidr(text.to_owned()))
    }
}

impl TryFrom<String> for Cidr {
    type Error = NotCidr;

    fn try_from(text: String) -> Result<Self, NotCidr> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

/// The first free /24 of `pool`. What is in use and is no IPv4 range (IPv6, nonsense) is no obstacle.
#[must_use]
pub fn free(pool: Cidr, in_use: &[String]) -> Option<Cidr> {
    all_free(pool, in_use).next()
}

/// How many /24 of `pool` are free.
#[must_use]
pub fn count_free(pool: Cidr, in_use: &[String]) -> usize {
    all_free(pool, in_use).count()
}

fn all_free(pool: Cidr, in_use: &[String]) -> impl Iterator<Item = Cidr> {
    let taken: Vec<Cidr> = in_use
        .iter()
        .filter_map(|text| text.parse().ok())
        .filter(|c: &Cidr| c.bits > 0)
        .collect();
    let wider = 24_u32.checked_sub(u32::from(pool.bits));
    let count = wider.and_then(|bits| 1_u32.checked_shl(bits)).unwrap_or(0);
    (0..count)
        .map(move |n| Cidr {
            base: pool.base | (n << 8),
            bits: 24,
        })
        .filter(move |candidate| !taken.iter().any(|t| t.overlaps(*candidate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(pool: &str, used: &[&str]) -> Option<String> {
        let used: Vec<String> = used.iter().map(|s| (*s).to_owned()).collect();
        free(pool.parse().unwrap(), &used).map(|c| c.to_string())
    }

    #[test]
    fn the_first_free_one_is_taken() {
        assert_eq!(pick("10.213.0.0/16", &[]).as_deref(), Some("10.213.0.0/24"));
        assert_eq!(
            pick("10.213.0.0/16", &["10.213.0.0/24", "10.213.1.128/25"]).as_deref(),
            Some("10.213.2.0/24")
        );
    }

    #[test]
    fn a_larger_network_in_use_covers_what_it_contains() {
        assert_eq!(pick("10.213.0.0/23", &["10.0.0.0/8"]), None);
        assert_eq!(
            pick("10.213.0.0/23", &["10.213.0.0/24"]).as_deref(),
            Some("10.213.1.0/24")
        );
    }

    #[test]
    fn a_default_route_and_ipv6_are_no_obstacle() {
        assert_eq!(
            pick("10.213.0.0/24", &["0.0.0.0/0", "fd00::/8"]).as_deref(),
            Some("10.213.0.0/24")
        );
    }

    #[test]
    fn free_ones_are_counted() {
        let count = |pool: &str, used: &[String]| count_free(pool.parse().unwrap(), used);
        assert_eq!(count("10.213.0.0/16", &[]), 256);
        assert_eq!(count("10.213.0.0/16", &["10.213.0.0/17".to_owned()]), 128);
        assert_eq!(count("10.213.0.0/25", &[]), 0);
    }

    #[test]
    fn a_full_pool_is_none() {
        assert_eq!(pick("10.213.0.0/24", &["10.213.0.0/24"]), None);
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "a/8", "10.0.0/8"] {
            assert!(
                text.parse::<Cidr>()
                    .unwrap_err()
                    .to_string()
                    .contains("10.213.0.0/16"),
                "{text}"
            );
        }
    }
}

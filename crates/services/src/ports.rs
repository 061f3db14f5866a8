//! Free TCP ports on loopback, held for as long as their server lives.
//!
//! A server that is killed and restarted must find its port again, so ports are drawn from below
//! the range the kernel gives to outgoing connections, and each is reserved among the processes
//! of this user by a locked file. Foreign programs can still take one: starters retry then.

use crate::error::{At, Result, ServicesError};
use crate::places::{open_lock, run_root};
use rand::RngExt as _;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The kernel's outgoing range begins at 32768 by default; well-known servers sit below 20000.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// How many candidates are tried before giving up.
const TRIES: u32 = 1_000;

/// A loopback port that no other live [`Port`] of this user has.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// Locked until this is dropped.
    _reservation: File,
}

impl Port {
    /// Reserves a free port.
    pub(crate) fn reserve() -> Result<Self> {
        let folder = run_root()?.join("ports");
        let mut rng = rand::rng();
        for _ in 0..TRIES {
            let number = rng.random_range(RANGE);
            let path = folder.join(number.to_string());
            let reservation = open_lock(&path)?;
            match reservation.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => continue,
                Err(std::fs::TryLockError::Error(error)) => return Err(error).at("lock", path),
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _reservation: reservation,
                });
            }
        }
        Err(ServicesError::Invalid(format!(
            "no free port found in {RANGE:?} after {TRIES} tries"
        )))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

/// Starts something anew on other ports while the reason for its failure is a clash of ports.
pub(crate) fn retry_on_clash<T>(mut start: impl FnMut() -> Result<T>) -> Result<T> {
    const STARTS: u32 = 3;
    for _ in 1..STARTS {
        match start() {
            Err(error) if error.is_port_clash() => {}
            result => return result,
        }
    }
    start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_reserved_together_differ_and_can_be_bound() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        TcpListener::bind(ports[0].address()).unwrap();
    }

    #[test]
    fn only_a_clash_is_tried_again() {
        let mut calls = 0;
        let failed: Result<()> = retry_on_clash(|| {
            calls += 1;
            Err(ServicesError::Invalid("no".to_owned()))
        });
        assert!(failed.is_err());
        assert_eq!(calls, 1);
    }
}

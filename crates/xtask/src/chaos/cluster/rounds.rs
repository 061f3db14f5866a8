//! The faults: one at a time, each mended before the next, so that the promises hold throughout.

use super::front::Front;
use super::site::Site;
use crate::chaos::ChaosArgs;
use crate::chaos::kills::Shared;
use crate::chaos::served;
use crate::chaos::workload::Operation;
use anyhow::{Context, Result, ensure};
use nowcast_services::redis::command;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Longest time until a fault is noticed and its consequences are over.
const MEND_PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// One way to break something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    BrokerKilled,
    BrokerFrozen,
    RoleKilled(&'static str),
    RoleDrained(&'static str),
    /// Longer than the group waits: it wakes after its partitions have gone elsewhere.
    OwnerFrozen,
    MasterKilled,
    RedisWiped,
}

/// In the order of the first rounds, unless others are asked for; later ones are drawn.
const FAULTS: [Fault; 10] = [
    Fault::RoleKilled("process"),
    Fault::BrokerKilled,
    Fault::MasterKilled,
    Fault::RoleKilled("serve"),
    Fault::OwnerFrozen,
    Fault::RedisWiped,
    Fault::RoleKilled("ingest"),
    Fault::BrokerFrozen,
    Fault::RoleDrained("process"),
    Fault::RoleDrained("serve"),
];

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::BrokerKilled => "broker killed",
            Self::BrokerFrozen => "broker frozen",
            Self::RoleKilled("ingest") => "ingest killed",
            Self::RoleKilled("process") => "process killed",
            Self::RoleKilled(_) => "serve killed",
            Self::RoleDrained("process") => "process drained",
            Self::RoleDrained(_) => "serve drained",
            Self::OwnerFrozen => "owner frozen",
            Self::MasterKilled => "redis master killed",
            Self::RedisWiped => "redis wiped",
        }
    }
}

/// How often a kind of fault is asked for: `broker=30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chaos) struct FaultCount {
    /// The faults that are made in turn.
    kinds: &'static [Fault],
    rounds: usize,
}

/// The kinds of faults that can be asked for.
const KINDS: [(&str, &[Fault]); 8] = [
    ("broker", &[Fault::BrokerKilled, Fault::BrokerFrozen]),
    ("ingest", &[Fault::RoleKilled("ingest")]),
    ("process", &[Fault::RoleKilled("process")]),
    ("serve", &[Fault::RoleKilled("serve")]),
    (
        "drain",
        &[Fault::RoleDrained("process"), Fault::RoleDrained("serve")],
    ),
    ("owner", &[Fault::OwnerFrozen]),
    ("master", &[Fault::MasterKilled]),
    ("wipe", &[Fault::RedisWiped]),
];

impl FromStr for FaultCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || KINDS.map(|(name, _)| name).join(", ");
        let expected = || format!("expected KIND=N with a kind of {}", names());
        let (name, rounds) = text.split_once('=').ok_or_else(expected)?;
        let kind = KINDS.iter().find(|(known, _)| *known == name);
        Ok(Self {
            kinds: kind.ok_or_else(expected)?.1,
            rounds: rounds.parse().map_err(|_| expected())?,
        })
    }
}

/// The faults of the rounds: those asked for in a drawn order, or any.
fn plan(args: &ChaosArgs, rng: &mut StdRng) -> Vec<Fault> {
    if args.faults.is_empty() {
        let fault = |round: usize| {
            let drawn = rng.random_range(0..FAULTS.len());
            FAULTS.get(round).copied().unwrap_or(FAULTS[drawn])
        };
        return (0..args.kills as usize).map(fault).collect();
    }
    let asked = args.faults.iter();
    let mut faults: Vec<Fault> = asked
        .flat_map(|count| count.kinds.iter().cycle().take(count.rounds))
        .copied()
        .collect();
    faults.shuffle(rng);
    faults
}

/// How the rounds went.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    pub(super) faults: BTreeMap<&'static str, u32>,
    /// By fault, the longest time from its end until an event was visible.
    pub(super) fresh_after_seconds: BTreeMap<&'static str, f64>,
}

/// Breaks and mends as often as asked.
pub(super) fn run(
    args: &ChaosArgs,
    site: &mut Site,
    shared: &Shared,
    front: &Front,
    opening: &Operation,
) -> Result<Rounds> {
    let mut rng = StdRng::seed_from_u64(args.seed);
    let mut rounds = Rounds::default();
    for (round, fault) in plan(args, &mut rng).into_iter().enumerate() {
        std::thread::sleep(Duration::from_millis(rng.random_range(200..1_500)));
        let mended = make(fault, site, shared, front, &mut rng);
        mended.with_context(|| format!("round {round}: {}", fault.name()))?;
        *rounds.faults.entry(fault.name()).or_default() += 1;
        let seconds = wait_fresh(site, opening)
            .with_context(|| format!("round {round}, after {}", fault.name()))?;
        let longest = rounds.fresh_after_seconds.entry(fault.name()).or_default();
        *longest = longest.max(seconds);
        eprintln!(
            "chaos: round {round}: {}, fresh {seconds:.1} s after its end",
            fault.name()
        );
        // The next fault must find everything whole: two at once may break what one must not.
        site.kafka.wait_whole()?;
        site.redis.wait_whole()?;
    }
    Ok(rounds)
}

fn make(
    fault: Fault,
    site: &mut Site,
    shared: &Shared,
    front: &Front,
    rng: &mut StdRng,
) -> Result<()> {
    match fault {
        Fault::BrokerKilled => {
            let brokers = site.kafka.brokers();
            let broker = &brokers[rng.random_range(0..brokers.len())];
            broker.kill()?;
            std::thread::sleep(Duration::from_millis(rng.random_range(500..4_000)));
            broker.restart()?;
        }
        Fault::BrokerFrozen => {
            let brokers = site.kafka.brokers();
            let broker = &brokers[rng.random_range(0..brokers.len())];
            broker.freeze()?;
            std::thread::sleep(Duration::from_millis(rng.random_range(1_000..12_000)));
            broker.thaw()?;
        }
        Fault::RoleKilled(role) | Fault::RoleDrained(role) => {
            let places = site.places(role);
            let at = places[rng.random_range(0..places.len())];
            replace(site, at, fault, shared, front)?;
        }
        Fault::OwnerFrozen => {
            let places = site.places("process");
            let frozen = &site.roles[places[rng.random_range(0..places.len())]];
            frozen.signal("STOP")?;
            std::thread::sleep(Duration::from_millis(rng.random_range(8_000..11_000)));
            frozen.signal("CONT")?;
        }
        Fault::MasterKilled => {
            let master = site.redis.master()?;
            let address = master.address();
            master.kill()?;
            let deadline = Instant::now() + MEND_PATIENCE;
            while site
                .redis
                .master()
                .map_or(true, |now| now.address() == address)
            {
                ensure!(Instant::now() < deadline, "no replica takes over");
                std::thread::sleep(POLL);
            }
            master.restart()?;
        }
        Fault::RedisWiped => {
            command(site.redis.master()?.address(), &["FLUSHALL"])?;
        }
    }
    Ok(())
}

/// Ends a process, hard or gently, and starts another in its place.
fn replace(site: &mut Site, at: usize, fault: Fault, shared: &Shared, front: &Front) -> Result<()> {
    let process = &mut site.roles[at];
    let is_ingest = process.role == "ingest";
    if is_ingest {
        shared.set_address(None);
    }
    match fault {
        Fault::RoleDrained(_) => process.drain()?,
        _ => process.kill()?,
    }
    front.set_serving(site.serving());
    let process = &mut site.roles[at];
    process.start()?;
    if is_ingest {
        shared.set_address(process.address);
    }
    process.wait_ready()?;
    front.set_serving(site.serving());
    Ok(())
}

/// Seconds until an event of every partition is visible.
pub(super) fn wait_fresh(site: &Site, opening: &Operation) -> Result<f64> {
    let started = Instant::now();
    loop {
        match served::catch_up(site.ingest()?, opening) {
            Ok(()) => return Ok(started.elapsed().as_secs_f64()),
            Err(error) if started.elapsed() > MEND_PATIENCE => return Err(error),
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_faults_are_asked_for_by_name() {
        let both: FaultCount = "broker=3".parse().unwrap();
        assert_eq!((both.kinds.len(), both.rounds), (2, 3));
        for wrong in ["broker", "broker=many", "meteor=1"] {
            assert!(wrong.parse::<FaultCount>().unwrap_err().contains("owner"));
        }
    }
}

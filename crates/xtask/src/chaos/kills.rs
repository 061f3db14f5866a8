//! The binary under load, killed at random moments: is every acknowledged event there, once?
//!
//! A few clients drive the server over HTTP and keep a journal of what was acknowledged. An
//! operation whose answer never came is sent again, unchanged, until there is one; so at the end
//! the journal is exactly what must be in the state, and an oracle computes what that makes.

use super::client::{Answer, Client};
use super::oracle::Oracle;
use super::process::{Install, Server};
use super::showing::Present;
use super::site::Site;
use super::workload::{self, Operation, Show, Workload};
use super::{ChaosArgs, Report, served, verdict};
use anyhow::{Context, Result, bail, ensure};
use nowcast_disk::failpoint;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Clients that drive the server at one time.
pub(super) const CLIENTS: usize = 4;
/// Pause between two operations of a client: a drill of an hour must stay judgeable.
const PACE: Duration = Duration::from_millis(8);
/// Pause before an operation is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
/// Longest time for one operation, restarts included.
const OPERATION_PATIENCE: Duration = Duration::from_secs(120);
/// A kill comes at most this long after a start, or after the server listens.
const KILL_WITHIN_MS: u64 = 900;
/// After every so many kills comes a life with a failpoint.
const ABORT_EVERY: u32 = 4;
/// How long such a life may take to reach its failpoint.
const ABORT_PATIENCE: Duration = Duration::from_secs(2);

/// What the drill found.
#[derive(Debug, Serialize)]
pub(super) struct KillsReport {
    mode: &'static str,
    seed: u64,
    kills: u32,
    /// Lives that ended themselves at a failpoint, beside the kills.
    aborts: u64,
    /// Distinct events that were acknowledged.
    acked: u64,
    lost: u64,
    doubled: u64,
    /// Whether served, restored and replayed state agree with each other and with the oracle.
    state_equal: bool,
    /// Examples that must be labelled, and those that a crash made the fold emit again.
    examples: u64,
    examples_repeated: u64,
    /// Whether the stream holds exactly the oracle's examples.
    examples_equal: bool,
    /// Whether the learner's weights are those of each example learnt once.
    weights_equal: bool,
    /// The hash of each partition's state.
    state_hashes: Vec<String>,
    requests: u64,
    seconds: f64,
}

impl Report for KillsReport {
    fn is_good(&self) -> bool {
        let are_lessons_good = self.examples > 0 && self.examples_equal && self.weights_equal;
        self.lost == 0 && self.doubled == 0 && self.state_equal && are_lessons_good
    }
}

/// What clients and the killer share.
#[derive(Default)]
pub(super) struct Shared {
    address: Mutex<Option<SocketAddr>>,
    pub(super) is_over: AtomicBool,
    /// The server is gone for good: nobody need wait for it.
    pub(super) is_broken: AtomicBool,
    pub(super) requests: AtomicU64,
    aborts: AtomicU64,
}

impl Shared {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().expect("no thread panics with the lock")
    }

    pub(super) fn set_address(&self, address: Option<SocketAddr>) {
        *self.address.lock().expect("no thread panics with the lock") = address;
    }
}

/// Drives, kills and restarts the server, and compares what is left with the oracle.
pub(super) fn run(args: &ChaosArgs) -> Result<KillsReport> {
    let started = Instant::now();
    let site = Site::new(args.bin.as_deref())?;
    let shared = Shared::default();
    let start_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let opening = workload::opening(start_ms);
    let (survivor, journals) =
        std::thread::scope(|scope| -> Result<(Server, Vec<Vec<Operation>>)> {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let (shared, seed) = (&shared, args.seed);
                    let workload = Workload::new(seed, number, start_ms);
                    scope.spawn(move || drive(shared, workload.with_showing(Present::Real)))
                })
                .collect();
            let survivor = kill_often(args, &site.install, &shared, &opening);
            shared.is_broken.store(survivor.is_err(), Ordering::SeqCst);
            shared.is_over.store(true, Ordering::SeqCst);
            let journals = clients
                .into_iter()
                .map(|client| client.join().expect("a client does not panic"))
                .collect::<Result<Vec<_>>>();
            let survivor = survivor?;
            Ok((survivor, journals?))
        })?;
    let mut oracle = Oracle::default();
    oracle.apply(&opening);
    journals
        .iter()
        .flatten()
        .for_each(|operation| oracle.apply(operation));
    let address = shared.address().context("the last server listens")?;
    let served = served::look(address, &oracle, &opening)?;
    survivor.kill()?;
    let verdict = verdict::of(&site, &oracle, served, start_ms)?;
    for difference in &verdict.differences {
        eprintln!("chaos: seed {}: {difference}", args.seed);
    }
    Ok(KillsReport {
        mode: "embedded",
        seed: args.seed,
        kills: args.kills,
        aborts: shared.aborts.load(Ordering::Relaxed),
        acked: oracle.acked(),
        lost: verdict.lost,
        doubled: verdict.doubled,
        state_equal: verdict.state_equal,
        examples: verdict.lessons.examples,
        examples_repeated: verdict.lessons.repeated,
        examples_equal: verdict.lessons.examples_equal,
        weights_equal: verdict.lessons.weights_equal,
        state_hashes: verdict.state_hashes,
        requests: shared.requests.load(Ordering::Relaxed),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Kills as often as asked, then starts one more server and lets it live.
fn kill_often(
    args: &ChaosArgs,
    install: &Install,
    shared: &Shared,
    opening: &Operation,
) -> Result<Server> {
    let mut first = install.start()?;
    let address = first.wait_listening(install)?;
    prepare(address, opening)?;
    shared.set_address(Some(address));
    let mut rng = StdRng::seed_from_u64(args.seed);
    let mut server = first;
    for kill in 0..args.kills {
        std::thread::sleep(Duration::from_millis(rng.random_range(0..KILL_WITHIN_MS)));
        shared.set_address(None);
        server.kill()?;
        if kill % ABORT_EVERY == ABORT_EVERY - 1 {
            abort_once(install, shared, &mut rng)?;
        }
        server = install.start()?;
        // One kill in five may hit the start and its recovery.
        if rng.random_range(0..5) > 0 {
            shared.set_address(Some(server.wait_listening(install)?));
        }
    }
    shared.set_address(Some(server.wait_listening(install)?));
    Ok(server)
}

/// One life that ends itself at a random hit of a random failpoint, if the load gets it there.
fn abort_once(install: &Install, shared: &Shared, rng: &mut StdRng) -> Result<()> {
    let name = failpoint::NAMES[rng.random_range(0..failpoint::NAMES.len())];
    let plan = format!("{name}:{}", rng.random_range(1..200));
    let mut server = install.start_with(Some(&plan))?;
    let deadline = Instant::now() + ABORT_PATIENCE;
    while Instant::now() < deadline {
        if server.has_ended()? {
            shared.aborts.fetch_add(1, Ordering::Relaxed);
            break;
        }
        shared.set_address(install.address());
        std::thread::sleep(RETRY_PAUSE);
    }
    shared.set_address(None);
    server.kill()
}

/// Fills the catalogue, so that events find their items' categories, and sends the opening. It waits
/// for each item to be applied: an event gets the categories its item has when it arrives.
pub(super) fn prepare(address: SocketAddr, opening: &Operation) -> Result<()> {
    let mut client = Client::connect(address)?;
    for item in 0..workload::ITEMS {
        let path = format!("/v1/items/{}?wait=applied", workload::item_id(item));
        let body = serde_json::json!({ "categories": [workload::category(item)] });
        let answer = client.send("PUT", &path, &body.to_string())?;
        ensure!(answer.is_success(), "PUT {path}: {answer:?}");
    }
    let (method, path, body) = opening.request();
    let answer = client.send(method, &path, &body)?;
    ensure!(answer.is_success(), "{method} {path}: {answer:?}");
    Ok(())
}

/// Performs operations until the drill is over, and returns them all: each was acknowledged.
pub(super) fn drive(shared: &Shared, mut workload: Workload) -> Result<Vec<Operation>> {
    let mut journal = Vec::new();
    let mut client = None;
    while !shared.is_over.load(Ordering::SeqCst) {
        let operation = workload.next();
        let answer = perform(shared, &mut client, &operation)?;
        if let (Operation::Show(show), Some(showing)) = (&operation, &mut workload.showing) {
            showing.note(as_shown(show, &answer)?);
        }
        journal.push(operation);
        std::thread::sleep(PACE);
    }
    Ok(journal)
}

/// What the server says it has shown.
fn as_shown(show: &Show, answer: &Answer) -> Result<Show> {
    let answer: serde_json::Value = serde_json::from_str(&answer.body)?;
    let request_id = answer["request_id"].as_str().context("no request id")?;
    let items = answer["items"].as_array().context("no items")?;
    let items = items.iter().map(|item| {
        let id = item["item_id"].as_str().context("no item id")?;
        let number = id
            .strip_prefix("item-")
            .context("not an item of the drill")?;
        Ok(number.parse()?)
    });
    Ok(Show {
        request_id: request_id.to_owned(),
        items: items.collect::<Result<_>>()?,
        ..show.clone()
    })
}

/// Sends an operation, again and again, until it is acknowledged.
fn perform(shared: &Shared, client: &mut Option<Client>, operation: &Operation) -> Result<Answer> {
    let (method, path, body) = operation.request();
    let deadline = Instant::now() + OPERATION_PATIENCE;
    loop {
        if Instant::now() > deadline || shared.is_broken.load(Ordering::SeqCst) {
            bail!("no answer to {method} {path} within {OPERATION_PATIENCE:?}");
        }
        if client.is_none() {
            *client = shared.address().and_then(|a| Client::connect(a).ok());
        }
        let Some(connection) = client else {
            std::thread::sleep(RETRY_PAUSE);
            continue;
        };
        shared.requests.fetch_add(1, Ordering::Relaxed);
        match connection.send(method, &path, &body) {
            Ok(answer) if answer.is_success() => return Ok(answer),
            Ok(answer) if answer.is_busy() => std::thread::sleep(RETRY_PAUSE),
            Ok(answer) => bail!("{method} {path}: {} {}", answer.status, answer.body),
            // Whether it was carried out is unknown; the same ids make asking again harmless.
            Err(_) => *client = None,
        }
    }
}

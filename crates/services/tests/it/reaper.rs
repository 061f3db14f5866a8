//! Whatever ends a test, its servers end too.

use nowcast_services::Redis;
use nowcast_services::redis::{Reply, command};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set for the process that plays the test that is killed.
const VICTIM: &str = "NOWCAST_SERVICES_TEST_VICTIM";
const MARK: &str = "redis is at ";

#[test]
fn servers_and_folders_of_a_killed_test_are_removed() {
    if std::env::var_os(VICTIM).is_some() {
        let redis = Redis::start().unwrap();
        eprintln!("{MARK}{}", redis.address());
        // It is killed here.
        loop {
            std::thread::park();
        }
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("reaper::servers_and_folders_of_a_killed_test_are_removed")
        .env(VICTIM, "1")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(victim.stderr.take().unwrap());
    let address: SocketAddr = said
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix(MARK).map(str::to_owned))
        .unwrap()
        .parse()
        .unwrap();
    let folder = command(address, &["CONFIG", "GET", "dir"]).unwrap();
    let Reply::List(Some(fields)) = folder else {
        panic!("{folder:?}");
    };
    let folder = fields[1].clone().into_text().unwrap();
    assert!(std::path::Path::new(&folder).is_dir());

    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(180);
    while command(address, &["PING"]).is_ok() || std::path::Path::new(&folder).exists() {
        assert!(
            Instant::now() < deadline,
            "redis or {folder} is still there"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

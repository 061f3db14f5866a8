//! Topics that independent clients write, read by the running program from real brokers into its
//! embedded log. `NOWCAST_POISON=100000` makes it that many messages that must be refused.

use crate::program::{finished, run};
use crate::server::Server;
use crate::waiting::wait_until;
use nowcast_services::{Kafka, tools, unique_name};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Poison messages of one round, each for another reason.
const POISON: usize = 5;
const POISON_DEFAULT: usize = 150;
/// Valid messages of one round, each in another format.
const VALID: usize = 7;
/// Messages that the client on the command line writes, from a user of its own.
const TYPED: usize = 20;
/// Fewer than the history of a user keeps.
const CLICKS_PER_USER: usize = 100;

fn rounds() -> usize {
    let asked = std::env::var("NOWCAST_POISON").map(|text| text.parse::<usize>().unwrap());
    asked.unwrap_or(POISON_DEFAULT).div_ceil(POISON)
}

fn users(rounds: usize) -> usize {
    ((VALID + POISON) * rounds).div_ceil(CLICKS_PER_USER)
}

/// Number of distinct items that so many users have clicked, as their profiles say.
fn clicks(server: &Server, users: usize) -> usize {
    let of = |user: usize| {
        let (status, body) = server.ask("GET", &format!("/v1/users/u{user}/profile"), "");
        let profile: Value = serde_json::from_str(&body).unwrap_or_default();
        let len = profile["history_len"].as_u64().filter(|_| status == 200);
        usize::try_from(len.unwrap_or(0)).unwrap()
    };
    (0..users).map(of).sum()
}

/// Writes one line a message with `kcat`.
fn type_clicks(brokers: &str, topic: &str, user: usize) {
    let mut kcat = Command::new(tools::kcat().unwrap());
    kcat.args(["-P", "-b", brokers, "-t", topic]);
    let mut typing = kcat.stdin(Stdio::piped()).spawn().unwrap();
    let mut keys = typing.stdin.take().unwrap();
    for item in 0..TYPED {
        let click = json!({ "event_type": "click", "user_id": format!("u{user}"), "item_id": format!("typed-{item}") });
        writeln!(keys, "{click}").unwrap();
    }
    drop(keys);
    assert!(typing.wait().unwrap().success());
}

fn letters(dir: &Path, server: &Server) -> Vec<Value> {
    let url = server.url();
    let ls = ["dead-letters", "ls", "--json", "--bytes", "--url", &url];
    let run = run(dir, &ls);
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.json()
}

type Places = BTreeMap<(i64, i64), String>;

fn places(letters: &[Value]) -> Places {
    let place = |letter: &Value| {
        let number = |name: &str| letter["source"][name].as_i64().unwrap();
        let code = letter["code"].as_str().unwrap().to_owned();
        ((number("partition"), number("offset")), code)
    };
    letters.iter().map(place).collect()
}

#[test]
fn poison_among_valid_messages_is_dead_lettered_exactly_and_repaired_once() {
    let kafka = Kafka::shared().unwrap();
    let rounds = rounds();
    // The last one types.
    let users = users(rounds) + 1;
    let (events, rows) = (unique_name("clicks"), unique_name("rows"));
    kafka.create_topic(&events, 3).unwrap();
    kafka.create_topic(&rows, 1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let url = format!("intake.url=kafka://{}", kafka.bootstrap());
    let group = format!("intake.group={}", unique_name("group"));
    let topics = format!(
        "intake.topics=[{{topic=\"{events}\", kind=\"events\"}}, {{topic=\"{rows}\", \
         kind=\"items\", format=\"debezium\", columns={{id=\"sku\", categories=[\"shelf\"], \
         attributes=[\"title\"]}}}}]"
    );
    let mut args = vec!["up", "--json", "--listen", "127.0.0.1:0", "--data", "d"];
    args.extend(["--set", &url, "--set", &group, "--set", &topics]);
    let server = Server::start(dir.path(), &args);

    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/intake_producer.py");
    let mut python = Command::new(tools::python_kafka().unwrap());
    python.arg(script).arg(kafka.bootstrap());
    python.arg(format!("{}/registry", server.url()));
    python.args([
        &events,
        &rows,
        &rounds.to_string(),
        &(users - 1).to_string(),
    ]);
    type_clicks(&kafka.bootstrap(), &events, users - 1);
    let produced = finished(python.output().unwrap());
    assert_eq!(produced.code, 0, "{}", produced.stderr);
    let poison: Places = produced
        .json()
        .iter()
        .map(|line| {
            let number = |name: &str| line[name].as_i64().unwrap();
            let code = line["code"].as_str().unwrap().to_owned();
            ((number("partition"), number("offset")), code)
        })
        .collect();
    assert_eq!(poison.len(), POISON * rounds);

    wait_until("all valid events are applied", || {
        clicks(&server, users) == VALID * rounds + TYPED
    });
    wait_until("the row is an item", || {
        server.ask("GET", "/v1/items/7", "").1.contains("Sencha")
    });
    wait_until("all poison is dead-lettered", || {
        letters(dir.path(), &server).len() >= poison.len()
    });
    let found = letters(dir.path(), &server);
    assert_eq!(places(&found), poison);

    let misspelt = |letter: &&Value| letter["code"] == "unknown_name";
    let repaired: Vec<String> = found
        .iter()
        .filter(misspelt)
        .map(|letter| {
            let mut letter = letter.clone();
            letter["value"]["event_type"] = json!("click");
            letter.to_string()
        })
        .collect();
    assert_eq!(repaired.len(), rounds);
    std::fs::write(dir.path().join("repaired.jsonl"), repaired.join("\n")).unwrap();
    for _ in 0..2 {
        let base = server.url();
        let replay = [
            "dead-letters",
            "replay",
            "--json",
            "--repaired",
            "repaired.jsonl",
        ];
        let mut args = replay.to_vec();
        args.extend(["--url", &base]);
        let result = run(dir.path(), &args).ok();
        assert_eq!(result["replayed"], rounds, "{result}");
    }
    wait_until("the repaired are applied", || {
        clicks(&server, users) == (VALID + 1) * rounds + TYPED
    });
    assert_eq!(letters(dir.path(), &server).len(), (POISON - 1) * rounds);

    // A new group reads everything again: nothing counts twice, no letter is new.
    server.stop();
    let again = format!("intake.group={}", unique_name("group"));
    args[9] = &again;
    let server = Server::start(dir.path(), &args);
    let total = |server: &Server| {
        let metrics = server.ask("GET", "/metrics", "").1;
        let lines = metrics.lines();
        let counts = lines.filter_map(|line| line.strip_prefix("nowcast_intake_messages_total{"));
        let numbers = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        numbers.sum::<f64>()
    };
    let all = ((VALID + POISON) * rounds + TYPED + 1) as f64;
    wait_until("everything is read again", || total(&server) >= all);
    wait_until("everything read again is folded", || {
        server
            .ask("GET", "/v1/status", "")
            .1
            .contains("\"lag_events\":0")
    });
    assert_eq!(clicks(&server, users), (VALID + 1) * rounds + TYPED);
    assert_eq!(letters(dir.path(), &server).len(), (POISON - 1) * rounds);
}

//! 20,000 malformed requests: structured mutations of good ones, from a fixed seed.
//!
//! No answer may be a 5xx, each refusal must be machine-readable, and the good events beside the
//! bad ones must all arrive, each once.

use crate::harness::{Client, Reply, Server, Setup};
use hyper::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const REQUESTS: u64 = 20_000;
const CLIENTS: u64 = 8;
const SEED: u64 = 0x6e6f_7763_6173_7401;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const FIELDS: [&str; 17] = [
    "event_id",
    "event_type",
    "user_id",
    "session_id",
    "item_id",
    "timestamp",
    "value",
    "slot",
    "request_id",
    "device_type",
    "location",
    "utc_offset_minutes",
    "properties",
    "consent",
    "schema_version",
    "__proto__",
    "",
];

fn event() -> Map<String, Value> {
    let event = json!({
        "event_id": "x", "event_type": "click", "user_id": "mallory", "session_id": "s",
        "item_id": "i1", "value": 1.5, "slot": "home", "request_id": "r", "device_type": "mobile",
        "location": "DE", "utc_offset_minutes": 60, "properties": {"a": [1, {"b": null}]},
        "consent": {"train": true}, "schema_version": 1
    });
    event.as_object().unwrap().clone()
}

/// A value as JSON text, so that texts no parser would write are possible too.
fn odd_value(dice: &mut Dice) -> String {
    const ODD: [&str; 34] = [
        "null",
        "true",
        "0",
        "-0",
        "-1",
        "1e308",
        "1e309",
        "-1e999",
        "9223372036854775808",
        "18446744073709551616",
        "123456789012345678901234567890",
        "0.1e-400",
        "NaN",
        "Infinity",
        "01",
        "+1",
        ".5",
        "1.",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\x\"",
        "\"\u{202e}\u{feff}\"",
        "\"2026-02-30T00:00:00Z\"",
        "\"1970-01-01T00:00:00+99:99\"",
        "[]",
        "[[]]",
        "{}",
        "{\"a\":1,\"a\":2}",
        "{\"\":{\"\":{}}}",
        "'x'",
        "undefined",
        "\"unclosed",
    ];
    match dice.below(8) {
        0 => format!("\"{}\"", "é".repeat(dice.below(600))),
        1 => {
            let depth = dice.below(300);
            format!("{}{}", "[".repeat(depth), "]".repeat(depth))
        }
        2 => format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40)),
        3 => format!("{}", dice.next() as i64),
        _ => (*dice.pick(&ODD)).to_owned(),
    }
}

/// An object with one thing wrong with it (most of the time).
fn mutated(dice: &mut Dice, mut fields: Map<String, Value>, names: &[&str]) -> String {
    let name = *dice.pick(names);
    match dice.below(5) {
        0 => {
            fields.remove(name);
            Value::Object(fields).to_string()
        }
        1 => {
            // The same field twice, or a new one.
            let text = Value::Object(fields).to_string();
            let odd = odd_value(dice);
            format!("{},\"{name}\":{odd}}}", &text[..text.len() - 1])
        }
        2 => damaged(dice, Value::Object(fields).to_string()),
        _ => {
            fields.insert(name.to_owned(), Value::String("@@".to_owned()));
            let odd = odd_value(dice);
            Value::Object(fields)
                .to_string()
                .replacen("\"@@\"", &odd, 1)
        }
    }
}

/// Text with bytes changed, lost, doubled or cut. What is no UTF-8 any more becomes `?`.
fn damaged(dice: &mut Dice, text: String) -> String {
    let mut bytes = text.into_bytes();
    for _ in 0..=dice.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.below(bytes.len());
        match dice.below(4) {
            0 => bytes[at] = *dice.pick(b"{}[]\",:\\0 \n\x00\x7f"),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, bytes[at]),
            _ => bytes.truncate(at),
        }
    }
    bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii() {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect()
}

/// What the good events of one client must add up to.
#[derive(Default)]
struct Witness {
    sent: BTreeMap<String, u64>,
    /// Mutations that turned out to be harmless.
    accepted_mutants: u64,
    refusals: BTreeMap<String, u64>,
}

fn check_refusal(reply: &Reply, what: &str) -> String {
    let status = reply.status.as_u16();
    assert!(
        status < 500,
        "{status} for {what}: {}",
        String::from_utf8_lossy(&reply.body)
    );
    if status < 400 {
        return "none".to_owned();
    }
    reply.code()
}

/// A good event on each side of a bad one: the good ones must be taken.
async fn beside_good_events(
    client: &mut Client,
    dice: &mut Dice,
    who: &str,
    number: u64,
    witness: &mut Witness,
) {
    let good = |side: &str| {
        json!({"event_id": format!("{who}-{number}-{side}"), "event_type": "view",
               "user_id": who, "item_id": format!("w{}", number % 50)})
        .to_string()
    };
    let bad = loop {
        let bad = mutated(dice, event(), &FIELDS);
        // A mutant that breaks the array or the line apart spoils the frame, not an event.
        if serde_json::from_str::<&serde_json::value::RawValue>(&bad).is_ok() && !bad.contains('\n')
        {
            break bad;
        }
    };
    let (body, content_type) = if dice.below(2) == 0 {
        (
            format!("[{},{bad},{}]", good("l"), good("r")),
            "application/json",
        )
    } else {
        (
            format!("{}\n{bad}\n{}", good("l"), good("r")),
            "application/x-ndjson",
        )
    };
    let headers = [("content-type", content_type)];
    let reply = client
        .send(Method::POST, "/v1/events", &headers, body.clone())
        .await;
    assert!(
        [200, 207].contains(&reply.status.as_u16()),
        "{body}: {reply:?}"
    );
    let answer = reply.json();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 3, "{body}: {answer}");
    for (index, side) in [(0, "l"), (2, "r")] {
        assert_eq!(results[index]["status"], "accepted", "{body}: {answer}");
        assert_eq!(results[index]["event_id"], format!("{who}-{number}-{side}"));
    }
    *witness.sent.entry(who.to_owned()).or_default() += 2;
    if results[1]["status"] == "accepted" {
        witness.accepted_mutants += 1;
    } else {
        let code = results[1]["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{body}: {answer}"));
        assert!(results[1]["error"]["message"].is_string());
        *witness.refusals.entry(code.to_owned()).or_default() += 1;
    }
}

/// A bad request of any kind.
async fn alone(client: &mut Client, dice: &mut Dice, witness: &mut Witness) {
    let (method, path, body) = match dice.below(6) {
        0 => {
            let text = Value::Object(event()).to_string();
            (
                Method::POST,
                "/v1/events",
                damaged(dice, format!("[{text},{text}]")),
            )
        }
        1 => {
            let item = json!({"categories": ["a"], "tags": ["t"], "attributes": {"p": 1},
                              "published_at": 5, "expires_at": null, "available": true});
            let names = [
                "categories",
                "tags",
                "attributes",
                "published_at",
                "available",
                "x",
            ];
            let body = mutated(dice, item.as_object().unwrap().clone(), &names);
            (
                dice.pick(&[Method::PUT, Method::PATCH]).clone(),
                "/v1/items/m1",
                body,
            )
        }
        2 => {
            let user = json!({"segment": "s", "attributes": {"a": 1}});
            let body = mutated(
                dice,
                user.as_object().unwrap().clone(),
                &["segment", "attributes", "x"],
            );
            (
                dice.pick(&[Method::PUT, Method::PATCH]).clone(),
                "/v1/users/mallory",
                body,
            )
        }
        3 => {
            let ask = json!({"user_id": "mallory", "session_id": "s", "history": ["i1"], "slot": "default",
                "k": 5, "context": {"a": 1}, "exclude": ["i2"], "filter": "item.available", "explain": true,
                "candidates": ["i1", "i2"], "deadline_ms": 50, "impressions": false});
            let names = [
                "user_id",
                "session_id",
                "history",
                "slot",
                "k",
                "context",
                "exclude",
                "filter",
                "explain",
                "candidates",
                "deadline_ms",
                "impressions",
                "x",
            ];
            (
                Method::POST,
                "/v1/recommendations",
                mutated(dice, ask.as_object().unwrap().clone(), &names),
            )
        }
        4 => {
            let item = json!({"item_id": "m2", "tags": ["t"]});
            let one = mutated(
                dice,
                item.as_object().unwrap().clone(),
                &["item_id", "tags"],
            );
            (Method::POST, "/v1/items", format!("[{one}]"))
        }
        _ => {
            let paths = [
                "/v1/items/%00",
                "/v1/items/%f0%28",
                "/v1/users/%2e%2e%2f/profile",
                "/v1/trending?k=-1",
                "/v1/trending?filter=1%2B",
                "/v1/features?item_id=",
                "/v1/items/i1/similar?k=99999999999999999999",
                "/v1/features?views=,,",
                "/v1//items",
                "/v1/status?x=1",
                "/v1/users//profile",
                "/%2fetc%2fpasswd",
            ];
            let method = dice
                .pick(&[Method::GET, Method::POST, Method::DELETE, Method::OPTIONS])
                .clone();
            (method, *dice.pick(&paths), odd_value(dice))
        }
    };
    let types = [
        "application/json",
        "application/x-ndjson",
        "text/plain",
        "application/xml",
        "\u{7f}",
        "",
    ];
    let packings = ["identity", "gzip", "zstd", "br", ""];
    let mut headers = vec![("content-type", types[dice.below(20).saturating_sub(14)])];
    if dice.below(10) == 0 {
        headers.push(("content-encoding", *dice.pick(&packings)));
    }
    headers.retain(|(_, value)| value.bytes().all(|byte| byte != 0x7f));
    let what = format!("{method} {path} {headers:?} {body}");
    let reply = client.send(method, path, &headers, body).await;
    let code = check_refusal(&reply, &what);
    *witness.refusals.entry(code).or_default() += 1;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_malformed_requests_harm_nobody() {
    let mut setup = Setup::default();
    setup.engine.limits.nesting_max = 8;
    let server = Server::in_memory(setup).await;
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let mut client = server.client().await;
        crowd.spawn(async move {
            let mut dice = Dice(SEED ^ number);
            let mut witness = Witness::default();
            for request in 0..REQUESTS / CLIENTS {
                // The history holds 200: a new witness before it is full.
                let who = format!("witness-{number}-{}", request / 100);
                if dice.below(2) == 0 {
                    beside_good_events(&mut client, &mut dice, &who, request, &mut witness).await;
                } else {
                    alone(&mut client, &mut dice, &mut witness).await;
                }
            }
            witness
        });
    }
    let mut all = Witness::default();
    while let Some(witness) = crowd.join_next().await {
        let witness = witness.unwrap();
        all.sent.extend(witness.sent);
        all.accepted_mutants += witness.accepted_mutants;
        for (code, count) in witness.refusals {
            *all.refusals.entry(code).or_default() += count;
        }
    }
    let refused: u64 = all
        .refusals
        .iter()
        .filter(|(code, _)| *code != "none")
        .map(|(_, n)| n)
        .sum();
    assert!(
        refused > REQUESTS / 2,
        "the mutations bite: {:?}",
        all.refusals
    );
    assert!(
        all.refusals.len() >= 12,
        "many kinds of refusals: {:?}",
        all.refusals
    );

    let end = json!({"event_type": "view", "user_id": "end", "item_id": "i"});
    let mut client = server.client().await;
    client.post("/v1/events?wait=applied", &end).await.ok();
    while server.engine.processor().lag().iter().sum::<u64>() > 0 {
        tokio::task::yield_now().await;
    }
    for (who, sent) in &all.sent {
        let profile = client
            .get(&format!("/v1/users/{who}/profile?history=0"))
            .await
            .ok();
        assert_eq!(profile["history_len"].as_u64(), Some(*sent), "{who}");
    }
    let metrics = client.get("/metrics").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(
        text.contains("nowcast_http_panics_total 0"),
        "no handler panicked"
    );
    server.stop().await;
}

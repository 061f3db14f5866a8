//! A front door of the simplest kind: asks one of those who serve, and the next if it does not
//! answer, as a proxy in front of them would.

use crate::chaos::client::Client;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Pause between two questions.
const PACE: Duration = Duration::from_millis(25);
/// Users that are asked for, known and unknown.
const USERS: u64 = 40;

/// Who serves now, and how it went.
pub(super) struct Front {
    serving: Mutex<Vec<SocketAddr>>,
    asked: AtomicU64,
    unanswered: AtomicU64,
}

impl Front {
    pub(super) fn new(serving: Vec<SocketAddr>) -> Self {
        Self {
            serving: Mutex::new(serving),
            asked: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        }
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Those who serve from now on.
    pub(super) fn set_serving(&self, serving: Vec<SocketAddr>) {
        *self.serving.lock().expect("no thread panics with the lock") = serving;
    }

    fn serving(&self) -> Vec<SocketAddr> {
        let serving = self.serving.lock().expect("no thread panics with the lock");
        serving.clone()
    }

    /// Asks until it is over.
    pub(super) fn ask_until(&self, is_over: &AtomicBool) {
        let mut number = 0_u64;
        while !is_over.load(Ordering::SeqCst) {
            number += 1;
            let body = serde_json::json!({
                "user_id": format!("user-{}-{}", number % 4, number % USERS),
                "k": 5,
                "impressions": false,
            });
            self.asked.fetch_add(1, Ordering::Relaxed);
            if !self.ask(&body.to_string(), number as usize) {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(PACE);
        }
    }

    /// Whether anybody answers with 200, beginning with another one each time.
    fn ask(&self, body: &str, first: usize) -> bool {
        let serving = self.serving();
        let turns = serving.len();
        (0..turns).any(|turn| {
            let address = serving[(first + turn) % turns];
            let answer = Client::connect(address)
                .and_then(|mut client| client.send("POST", "/v1/recommendations", body));
            answer.is_ok_and(|answer| answer.status == 200)
        })
    }
}

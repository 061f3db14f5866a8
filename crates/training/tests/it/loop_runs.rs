//! The background loop.

use crate::world::{config, empty, read};
use nowcast_training::trainer_loop::{LastRun, is_due};
use nowcast_training::{TrainerLoop, TrainingConfig};
use nowcast_types::Span;
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn it_trains_when_there_is_enough_and_again_when_the_log_has_grown() {
    let world = empty();
    read(&world, 0..60);
    let eager = TrainingConfig {
        interval: Span(1),
        models: vec!["popular".to_owned()],
        ..config()
    };
    let (sender, receiver) = mpsc::channel();
    let on_published = move |_, version| sender.send(version).unwrap_or(());
    let trainer = TrainerLoop::start(world.deps.clone(), eager, on_published).unwrap();
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(1));
    read(&world, 60..120);
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(2));
    trainer.request();
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(3), "asked for");
    trainer.stop();
    assert!(receiver.recv().is_err(), "nothing runs after the stop");
}

#[test]
fn a_bad_config_is_refused_at_the_start() {
    let mut bad = config();
    bad.models.push("no_such".to_owned());
    assert!(TrainerLoop::start(empty().deps, bad, |_, _| {}).is_err());
}

#[test]
fn growth_and_interval_decide() {
    let config = TrainingConfig {
        interval: Span(60_000),
        growth_min: 0.5,
        ..config()
    };
    let last = |seconds, records| {
        Some(LastRun {
            ago: Duration::from_secs(seconds),
            records,
        })
    };
    assert!(!is_due(&config, None, 0));
    assert!(is_due(&config, None, 1));
    assert!(!is_due(&config, last(59, 100), 1000), "within the interval");
    assert!(is_due(&config, last(60, 100), 150));
    assert!(!is_due(&config, last(600, 100), 149), "too little growth");
    assert!(!is_due(&config, last(600, 0), 0), "nothing new");
}

//! The background loop.

use crate::world::{config, empty, read};
use nowcast_models::Model;
use nowcast_training::trainer_loop::{LastRun, due};
use nowcast_training::{Effort, TrainerLoop, TrainingConfig};
use nowcast_types::Span;
use std::sync::Arc;
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
        refresh_growth_min: 0.1,
        ..config()
    };
    let since = |seconds, records, records_trained| {
        Some(LastRun {
            ago: Duration::from_secs(seconds),
            records,
            records_trained,
        })
    };
    assert_eq!(due(&config, None, 0), None);
    assert_eq!(due(&config, None, 1), Some(Effort::Full));
    let trained = |seconds| since(seconds, 100, 100);
    assert_eq!(due(&config, trained(59), 1000), None, "within the interval");
    assert_eq!(due(&config, trained(60), 150), Some(Effort::Full));
    assert_eq!(due(&config, trained(600), 149), Some(Effort::Refresh));
    assert_eq!(due(&config, trained(600), 109), None, "too little growth");
    let refreshed = since(600, 145, 100);
    assert_eq!(due(&config, refreshed, 149), None, "refreshed a moment ago");
    assert_eq!(
        due(&config, refreshed, 150),
        Some(Effort::Full),
        "refreshes do not put it off"
    );
    assert_eq!(due(&config, since(600, 0, 0), 0), None, "nothing new");
    let without = TrainingConfig {
        refresh_growth_min: 0.0,
        ..config
    };
    assert_eq!(due(&without, trained(600), 149), None, "switched off");
}

#[test]
fn between_trainings_it_refreshes_what_can_be_and_leaves_the_rest() {
    let world = empty();
    read(&world, 0..60);
    let eager = TrainingConfig {
        interval: Span(1),
        models: ["popular", "ials", "session_knn"]
            .map(str::to_owned)
            .to_vec(),
        growth_min: 10.0,
        refresh_growth_min: 0.01,
        ..config()
    };
    let (sender, receiver) = mpsc::channel();
    let on_published = move |model: Arc<dyn Model>, version| {
        let published = (model.name(), version);
        sender.send(published).unwrap_or(());
    };
    let trainer = TrainerLoop::start(world.deps.clone(), eager, on_published).unwrap();
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(("popular", 1)));
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(("ials", 1)));
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(("session_knn", 1)));
    read(&world, 60..120);
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(("ials", 2)));
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(("session_knn", 2)));
    trainer.stop();
}

//! Models on an object store: published by one engine, served by another.

use crate::harness::{HandClock, World, config, draft, take};
use nowcast_disk::{Fs, SimFs};
use nowcast_engine::pseudonym::PseudonymKey;
use nowcast_engine::{Backends, Embedded, Engine, EngineError, Opened, Opening, Surroundings};
use nowcast_services::S3;
use nowcast_store::ArtifactPlace;
use nowcast_store_s3::{S3Config, S3Place};
use nowcast_training::{Effort, TrainerDeps, train_once};
use nowcast_types::Span;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Log and state in the data folder, models on an object store.
struct ModelsOnS3(S3Config);

impl Backends for ModelsOnS3 {
    fn open(&self, opening: &Opening<'_>) -> Result<Opened, EngineError> {
        Embedded.open(opening)
    }

    fn artifacts(
        &self,
        _opening: &Opening<'_>,
    ) -> Result<Option<Arc<dyn ArtifactPlace>>, EngineError> {
        let place = S3Place::open("s3://models/shop", &self.0).unwrap();
        Ok(Some(Arc::new(place)))
    }
}

/// An engine with a disk of its own.
fn open(s3: &S3Config, fs: &Arc<SimFs>) -> Arc<Engine> {
    let mut config = config();
    config.serving.record_impressions = false;
    config.serving.models_refresh = Span(20);
    Engine::open_in(
        config,
        Surroundings {
            data_dir: PathBuf::from("data"),
            shared_dir: None,
            fs: Arc::clone(fs) as Arc<dyn Fs>,
            clock: Arc::new(HandClock::new()),
            key: Some(PseudonymKey::new(1, [5; 32])),
            backends: Arc::new(ModelsOnS3(s3.clone())),
        },
    )
    .unwrap()
}

fn in_use(engine: &Engine) -> Vec<(String, String)> {
    let models = engine.status().models;
    models
        .into_iter()
        .map(|model| (model.name, model.version))
        .collect()
}

async fn wait_for(engine: &Engine, version: &str) {
    let expected = [("popular".to_owned(), version.to_owned())];
    let deadline = Instant::now() + PATIENCE;
    while in_use(engine) != expected {
        assert!(Instant::now() < deadline, "in use: {:?}", in_use(engine));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn train(engine: &Engine) -> u64 {
    let deps = TrainerDeps {
        log: Arc::clone(engine.log()),
        catalog: Arc::clone(engine.catalog()),
        artifacts: Arc::clone(engine.artifacts()),
        types: Arc::clone(engine.event_types()),
        attribution_window: engine.config().fold.attribution.window,
    };
    let mut training = engine.config().training.clone();
    training.models = vec!["popular".to_owned()];
    training.interactions_min = 1;
    training.gate_share_of_popular = 0.0;
    let report = train_once(&deps, &training, Effort::Full, &(), &|_, _| {}).unwrap();
    report.models[0]
        .version
        .unwrap_or_else(|| panic!("{report:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_engine_trains_another_serves_and_goes_on_serving_while_the_store_is_away() {
    let server = tokio::task::spawn_blocking(|| S3::start().expect("moto starts"))
        .await
        .unwrap();
    server.create_bucket("models").unwrap();
    let s3 = S3Config {
        endpoint: server.url(),
        region: S3::REGION.to_owned(),
        access_key_id: "tests".to_owned(),
        secret_access_key: "any".to_owned(),
        allow_http: true,
        timeout: Span(10_000),
        ..S3Config::default()
    };
    let trains = open(&s3, &World::new().fs);
    let serving_disk = World::new().fs;
    let serves = open(&s3, &serving_disk);
    assert!(in_use(&serves).is_empty());
    for user in 0..20_u8 {
        let id = format!("e{user}");
        let who = format!("u{user}");
        let what = format!("i{}", user % 5);
        take(&trains, &[draft(&id, "click", &who, &what)]).await;
    }
    assert_eq!(train(&trains), 1);
    wait_for(&serves, "1").await;
    assert_eq!(train(&trains), 2);
    wait_for(&serves, "2").await;

    server.server().kill().unwrap();
    let refused = trains.artifacts().next_version("popular").unwrap_err();
    assert!(
        refused.to_string().contains("s3://models/shop"),
        "{refused}"
    );
    // Reading again finds nobody to read from, and takes nothing out of use.
    serves.reload_models();
    wait_for(&serves, "2").await;
    serves.close();
    drop(serves);
    // An engine that opens meanwhile answers without models.
    let later = open(&s3, &serving_disk);
    assert!(in_use(&later).is_empty());
    server.server().restart().unwrap();
    server.create_bucket("models").unwrap();
    // The server has lost everything; the next training begins anew.
    assert_eq!(train(&trains), 1);
    wait_for(&later, "1").await;
    assert!(
        serving_disk
            .files()
            .iter()
            .all(|(path, _)| !path.to_string_lossy().contains("models")),
        "no model is in the data folder"
    );
}

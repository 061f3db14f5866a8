//! A whole engine with its server on a runtime of its own: what `up`, `demo` and the benchmarks
//! start and stop.

use crate::backends::{Chosen, Cluster};
use crate::roles::{Part, Role};
use crate::settings::Settings;
use crate::settings::layers::{Leaf, from_flag};
use crate::sharing::Sharing;
use anyhow::Context;
use axum::Router;
use nowcast_disk::StdFs;
use nowcast_engine::{Engine, Readiness, Surroundings, SystemClock};
use nowcast_intake::{BuiltInRegistry, DeadLetters, Intake, IntakeConfig, RegistryConfig};
use nowcast_schemas::{Decoder, RegistryClient, RegistryService, SchemaSource};
use nowcast_server::{Beside, Mounted, ServerHandle};
use nowcast_sessions::SessionStore;
use nowcast_training::{Effort, TrainerDeps, train_once};
use nowcast_types::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use toml::Value;

/// Name of the threads that serve HTTP.
pub const SERVER_THREAD_NAME: &str = "http";

/// An engine and its server.
pub struct Running {
    runtime: Runtime,
    engine: Arc<Engine>,
    registry: Option<BuiltInRegistry>,
    intake: Option<Intake>,
    server: ServerHandle,
    sharing: Option<Sharing>,
}

impl Running {
    /// Opens the engine on `settings.data_dir` and serves it.
    ///
    /// # Errors
    /// When the folder is in use or damaged, or the address is taken.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        Self::start_with(settings, |_| Router::new())
    }

    /// As [`Running::start`], doing a part of the work beside other processes.
    ///
    /// # Errors
    /// As [`Running::start`]; also when log and state are not shared.
    pub fn start_part(settings: Settings, part: &Part) -> anyhow::Result<Self> {
        Self::begin(settings, part, |_| Router::new())
    }

    /// As [`Running::start`], with routes of the caller's own beside the API.
    ///
    /// # Errors
    /// As [`Running::start`].
    pub fn start_with(
        settings: Settings,
        extension: impl FnOnce(&Arc<Engine>) -> Router,
    ) -> anyhow::Result<Self> {
        Self::begin(settings, &Part::Whole, extension)
    }

    fn begin(
        mut settings: Settings,
        part: &Part,
        extension: impl FnOnce(&Arc<Engine>) -> Router,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name(SERVER_THREAD_NAME)
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let (engine, cluster) = open_engine(&settings, part)?;
        settings.server.closed_lanes = part.closed_lanes();
        let registry = if part.has(Role::Ingest) {
            open_registry(&engine, &settings.registry)?
        } else {
            None
        };
        let decoder = decoder(&settings.intake, registry.as_ref())?;
        let dead_letters = dead_letters(&engine, &settings.intake, Arc::clone(&decoder));
        let memcached = &settings.session.memcached;
        let sessions = engine
            .metrics()
            .within(|| SessionStore::open(memcached))
            .context("session.memcached")?;
        let beside = Beside {
            sessions: sessions.map(Arc::new),
            extension: extension(&engine),
            dead_letters: Some(Arc::new(dead_letters)),
            registry: registry.as_ref().map(|registry| Mounted {
                path: settings.registry.path.clone(),
                service: Arc::clone(registry.service()),
            }),
        };
        let server = runtime
            .block_on(nowcast_server::serve(
                Arc::clone(&engine),
                settings.server,
                beside,
            ))
            .context("the server did not start")?;
        let sharing = cluster
            .map(|cluster| Sharing::start(&cluster, &engine, part, server.local_addr()))
            .transpose()?;
        let intake = if settings.intake.topics.is_empty() || !part.has(Role::Ingest) {
            None
        } else {
            let (engine, handle) = (Arc::clone(&engine), runtime.handle().clone());
            let intake = Intake::start(engine, &settings.intake, decoder, handle);
            Some(intake.context("the intake did not start")?)
        };
        Ok(Self {
            runtime,
            engine,
            registry,
            intake,
            server,
            sharing,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// The engine behind the server.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The runtime, for tasks of the caller's own.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Trains once on everything in the log and puts the models into use.
    ///
    /// # Errors
    /// When nothing was published.
    pub fn train(&self) -> anyhow::Result<()> {
        wait_live(&self.engine, Duration::from_secs(600))?;
        let config = &self.engine.config().training;
        let report = train_once(
            &trainer_deps(&self.engine),
            config,
            Effort::Full,
            &(),
            &|_, _| {},
        )
        .context("nothing was trained")?;
        for model in &report.models {
            anyhow::ensure!(
                model.version.is_some(),
                "model {} was not published: {:?}, {:?}",
                model.model,
                model.error,
                model.validation
            );
        }
        self.engine.reload_models();
        self.engine.refresh_serving();
        Ok(())
    }

    /// Waits until everything appended so far is folded and its checkpoints are durable, as in a
    /// server that has run for a while.
    ///
    /// # Errors
    /// When that takes longer than two minutes.
    pub fn settle(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let is_settled = self.engine.status().lag_events == 0
                && self.engine.processor().durable_all() == self.engine.processor().applied_all();
            if is_settled {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "the checkpoints do not settle");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Listens for Ctrl-C and SIGTERM from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stop_signal(&self) -> anyhow::Result<StopSignal> {
        let _inside = self.runtime.enter();
        StopSignal::listen()
    }

    /// Blocks until it comes.
    pub fn wait_for(&self, mut stop: StopSignal) {
        self.runtime.block_on(stop.received());
    }

    /// Stops the server, then the engine with a last checkpoint.
    ///
    /// # Errors
    /// When the last checkpoint cannot be written: the log still has everything.
    pub fn stop(self) -> anyhow::Result<()> {
        if let Some(intake) = &self.intake {
            intake.close();
        }
        self.runtime.block_on(self.server.shutdown());
        if let Some(sharing) = self.sharing {
            sharing.stop();
        }
        if let Some(registry) = &self.registry {
            registry.close();
        }
        self.engine.close();
        Ok(())
    }
}

/// Opens the schema registry, unless it is switched off.
///
/// # Errors
/// When the log holds what is no registry.
pub fn open_registry(
    engine: &Engine,
    config: &RegistryConfig,
) -> anyhow::Result<Option<BuiltInRegistry>> {
    if !config.enabled {
        return Ok(None);
    }
    let registry = BuiltInRegistry::open(engine).context("cannot open the schema registry")?;
    Ok(Some(registry))
}

/// What reads the messages of other programs, with the schemas of the registry that is configured.
///
/// # Errors
/// When the registry's settings cannot work.
pub fn decoder(
    config: &IntakeConfig,
    built_in: Option<&BuiltInRegistry>,
) -> anyhow::Result<Arc<Decoder>> {
    let source: Option<Arc<dyn SchemaSource>> = match (&config.registry, built_in) {
        (Some(external), _) => Some(Arc::new(RegistryClient::new(external)?)),
        (None, Some(built_in)) => Some(Arc::<RegistryService>::clone(built_in.service())),
        (None, None) => None,
    };
    Ok(Arc::new(Decoder::new(source)))
}

/// The dead letters of an engine.
pub fn dead_letters(
    engine: &Arc<Engine>,
    config: &IntakeConfig,
    decoder: Arc<Decoder>,
) -> DeadLetters {
    let readings = nowcast_intake::readings(config);
    DeadLetters::new(Arc::clone(engine), decoder, readings)
}

/// Opens the engine of `settings` for a command that does one thing. Where log and state are shared
/// it is one process more beside the servers; else nobody else may have the data folder.
///
/// # Errors
/// As [`open_engine`].
pub fn open_for(settings: &Settings, role: Role) -> anyhow::Result<(Arc<Engine>, Option<Cluster>)> {
    let part = Part::of(&[role]).map_err(anyhow::Error::msg)?;
    open_engine(settings, &part)
}

/// Opens the engine of `settings` on its data folder, log and store.
///
/// # Errors
/// When the folder is in use by another process or damaged; when log or store are away.
pub fn open_engine(
    settings: &Settings,
    part: &Part,
) -> anyhow::Result<(Arc<Engine>, Option<Cluster>)> {
    let chosen = Arc::new(Chosen::new(settings.backends.clone(), part.clone()));
    let mut config = settings.engine.clone();
    if let Some(interval) = settings.backends.commit_interval() {
        config.stream.checkpoint_interval = interval;
    }
    config.training.enabled &= part.has(Role::Train);
    config.online.enabled &= part.has(Role::Serve);
    let around = Surroundings {
        data_dir: settings.data_dir.clone(),
        shared_dir: settings.shared_dir.clone(),
        fs: Arc::new(StdFs),
        clock: Arc::new(SystemClock),
        key: None,
        backends: chosen.clone(),
    };
    let engine = Engine::open_in(config, around).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::Conflict => " (if a server runs on it, stop it or ask it: recommend --url)",
            _ => "",
        };
        let place = settings.data_dir.display();
        anyhow::Error::new(error).context(format!("cannot open {place}{advice}"))
    })?;
    Ok((engine, chosen.cluster()))
}

/// Waits until the engine's state reflects everything in its log.
///
/// # Errors
/// When it fails or takes longer than `patience`.
pub fn wait_live(engine: &Engine, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    // Where others fold, how far they are is not for this process to wait for.
    let is_folded = || {
        let processor = engine.processor();
        !processor.folds_here() || processor.lag().iter().sum::<u64>() == 0
    };
    loop {
        match engine.readiness() {
            Readiness::Live if is_folded() => return Ok(()),
            Readiness::Failed(reason) => anyhow::bail!("the state cannot be brought up: {reason}"),
            _ if Instant::now() > deadline => {
                anyhow::bail!("the state is not up after {} s", patience.as_secs())
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// How long nothing may move before nobody is taken to fold.
const FOLD_PATIENCE: Duration = Duration::from_secs(30);

/// Waits until those who fold have come as far as the log.
///
/// # Errors
/// When they come no further: what was sent is in the log all the same.
pub fn wait_folded_elsewhere(engine: &Engine) -> anyhow::Result<()> {
    let (mut before, mut moved) = (u64::MAX, Instant::now());
    loop {
        let lag = engine.processor().lag().iter().sum::<u64>();
        if lag == 0 {
            return Ok(());
        }
        if lag != before {
            (before, moved) = (lag, Instant::now());
        }
        anyhow::ensure!(
            moved.elapsed() < FOLD_PATIENCE,
            "everything is in the log, but {lag} records are not folded and nobody folds them: start \
             `nowcast run process` or `nowcast up`"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a training of the engine's log needs.
#[must_use]
pub fn trainer_deps(engine: &Engine) -> TrainerDeps {
    TrainerDeps {
        log: Arc::clone(engine.log()),
        catalog: Arc::clone(engine.catalog()),
        artifacts: Arc::clone(engine.artifacts()),
        types: Arc::clone(engine.event_types()),
        attribution_window: engine.config().fold.attribution.window,
    }
}

/// Settings of a benchmark that trains one model itself, with parameters of its own.
#[must_use]
pub fn training_flags(model: &str, params: &[(&str, u32)]) -> Vec<Leaf> {
    let flag = |key: &str, value| from_flag("the benchmark", key, value);
    let mut flags = vec![
        flag(
            "training.models",
            Value::Array(vec![Value::String(model.to_owned())]),
        ),
        // What is measured is speed: the synthetic stream has no taste to validate against.
        flag("training.gate_share_of_popular", Value::Float(0.0)),
    ];
    flags.extend(params.iter().map(|(name, value)| {
        let key = format!("training.params.{model}.{name}");
        flag(&key, Value::String(value.to_string()))
    }));
    flags
}

/// Ctrl-C and SIGTERM. Make it before anybody is told that there is something to stop: what comes
/// earlier ends the process as if nobody cared for it.
pub struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    fn listen() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("cannot listen for the signal to stop");
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Settings of a benchmark: its own folder, a free port, limits out of the way.
#[must_use]
pub fn scratch_flags(dir: &Path) -> Vec<Leaf> {
    let data = Value::String(dir.display().to_string());
    vec![
        from_flag("the benchmark", "data_dir", data),
        from_flag(
            "the benchmark",
            "server.listen",
            Value::String("127.0.0.1:0".to_owned()),
        ),
        no_background_training(),
    ]
}

/// The setting of commands that open a data folder only to look or to train themselves.
#[must_use]
pub fn no_background_training() -> Leaf {
    from_flag("the command", "training.enabled", Value::Boolean(false))
}

/// Refuses a data folder that is not there, instead of making an empty one.
///
/// # Errors
/// With what to do.
pub fn ensure_data(settings: &Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        settings.data_dir.exists(),
        "there is no data in {}; start with `nowcast import`, `nowcast up` or `nowcast demo`, or \
         name another folder with --data",
        settings.data_dir.display()
    );
    Ok(())
}

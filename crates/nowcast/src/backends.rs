//! The one place that knows which backend is which: makes the log, the store and the place of models
//! of an engine from the settings, and says which partitions are folded here.

use crate::roles::Part;
use crate::settings::artifacts::ModelPlace;
use crate::settings::backends::{BackendSettings, LogPlace, StorePlace};
use nowcast_engine::{Backends, Embedded, EngineError, Opened, Opening};
use nowcast_store::ArtifactPlace;
use nowcast_store_s3::S3Place;
use std::sync::{Arc, OnceLock};

pub use cluster::{Cluster, connect};

/// Backends as the settings choose them, for a process that does a part of the work.
pub struct Chosen {
    settings: BackendSettings,
    part: Part,
    cluster: OnceLock<Cluster>,
}

impl Chosen {
    /// For a process that does `part` of the work, if others can do the rest.
    #[must_use]
    pub const fn new(settings: BackendSettings, part: Part) -> Self {
        Self {
            settings,
            part,
            cluster: OnceLock::new(),
        }
    }

    /// The cluster that was opened: the log on Kafka and the state on Redis.
    #[must_use]
    pub fn cluster(&self) -> Option<Cluster> {
        self.cluster.get().cloned()
    }
}

impl Backends for Chosen {
    fn open(&self, opening: &Opening<'_>) -> Result<Opened, EngineError> {
        let partitions = opening.config.events.partitions;
        let log = self.settings.log(partitions).map_err(EngineError::Config)?;
        let store = self.settings.store().map_err(EngineError::Config)?;
        match (log, store) {
            (LogPlace::Embedded, StorePlace::Embedded) => Embedded.open(opening),
            (log, store) => {
                let (opened, cluster) = cluster::open(opening, log, store, &self.part)?;
                if let Some(cluster) = cluster {
                    // Called once for each engine, so there is none before.
                    let _ = self.cluster.set(cluster);
                }
                Ok(opened)
            }
        }
    }

    fn artifacts(
        &self,
        _opening: &Opening<'_>,
    ) -> Result<Option<Arc<dyn ArtifactPlace>>, EngineError> {
        match self.settings.models().map_err(EngineError::Config)? {
            ModelPlace::Embedded => Ok(None),
            ModelPlace::S3 { url, config } => match S3Place::open(&url, &config) {
                Ok(place) => Ok(Some(Arc::new(place))),
                Err(error) => Err(EngineError::Backend {
                    what: "artifacts.url",
                    kind: error.kind(),
                    source: Box::new(error),
                }),
            },
        }
    }
}

mod cluster {
    //! Kafka, Redis, and the epochs that tell their owners apart.

    use super::{Embedded, EngineError, LogPlace, Opened, Opening, StorePlace};
    use crate::roles::{Part, Role};
    use crate::settings::Settings;
    use anyhow::Context;
    use nowcast_log::{ChangeFeed, EventLog};
    use nowcast_log_kafka::{ClaimAck, KafkaConfig, KafkaLog, KafkaLogError, Ownership};
    use nowcast_store::{ChainId, Epoch, StateReader, StateStore, StoreError};
    use nowcast_store_redis::{RedisConfig, RedisStore, RedisStoreError};
    use nowcast_stream::{Duty, Epochs, Follow, PublishingStore};
    use nowcast_types::{EventTypes, PartitionId, Span};
    use std::sync::Arc;

    /// While a partition is loaded it cannot be given up: whoever shares partitions must not
    /// wait for long.
    const LOAD_TIMEOUT_MAX: Span = Span(5_000);

    /// What processes that share the work share.
    #[derive(Clone)]
    pub struct Cluster {
        /// The log.
        pub kafka: Arc<KafkaLog>,
        /// The state.
        pub redis: Arc<RedisStore>,
    }

    /// Connects to the cluster of the settings, to look at it.
    ///
    /// # Errors
    /// The brokers do not answer; log and state are not both shared.
    pub fn connect(settings: &Settings) -> anyhow::Result<Cluster> {
        let events = &settings.engine.events;
        let log = settings.backends.log(events.partitions);
        let store = settings.backends.store();
        let (LogPlace::Kafka(kafka), StorePlace::Redis(redis)) = (
            log.map_err(anyhow::Error::msg)?,
            store.map_err(anyhow::Error::msg)?,
        ) else {
            anyhow::bail!("log.url and store.url are not both shared");
        };
        let types = EventTypes::with_custom(&events.types).map_err(anyhow::Error::msg)?;
        Ok(Cluster {
            kafka: Arc::new(KafkaLog::open(*kafka, Arc::new(types)).context("log.url")?),
            redis: Arc::new(RedisStore::open(*redis).context("store.url")?),
        })
    }

    pub(super) fn open(
        opening: &Opening<'_>,
        log: LogPlace,
        store: StorePlace,
        part: &Part,
    ) -> Result<(Opened, Option<Cluster>), EngineError> {
        match (log, store) {
            (LogPlace::Kafka(kafka), StorePlace::Redis(redis)) => {
                let cluster = Cluster {
                    kafka: open_kafka(opening, *kafka)?,
                    redis: open_redis(*redis, part)?,
                };
                Ok((shared(opening, &cluster, part)?, Some(cluster)))
            }
            // The data folder has one owner at a time, and holds the half that is not shared.
            (LogPlace::Kafka(kafka), StorePlace::Embedded) => Ok((
                Opened {
                    log: open_kafka(opening, *kafka)?,
                    store: Embedded::store(opening)?,
                    duty: Duty::All(Epochs::default()),
                },
                None,
            )),
            (LogPlace::Embedded, StorePlace::Redis(redis)) => {
                let log = Embedded::log(opening)?;
                let redis = open_redis(*redis, &Part::Whole)?;
                let epochs = next(&*redis, opening.config.events.partitions)?;
                let opened = Opened {
                    log,
                    store: redis,
                    duty: Duty::All(epochs),
                };
                Ok((opened, None))
            }
            (LogPlace::Embedded, StorePlace::Embedded) => Ok((
                Opened {
                    log: Embedded::log(opening)?,
                    store: Embedded::store(opening)?,
                    duty: Duty::All(Epochs::default()),
                },
                None,
            )),
        }
    }

    fn open_kafka(
        opening: &Opening<'_>,
        config: KafkaConfig,
    ) -> Result<Arc<KafkaLog>, EngineError> {
        let log = KafkaLog::open(config, Arc::clone(opening.types)).map_err(kafka_failed)?;
        Ok(Arc::new(log))
    }

    fn open_redis(mut config: RedisConfig, part: &Part) -> Result<Arc<RedisStore>, EngineError> {
        if *part != Part::Whole {
            config.load_timeout = config.load_timeout.min(LOAD_TIMEOUT_MAX);
        }
        Ok(Arc::new(RedisStore::open(config).map_err(redis_failed)?))
    }

    fn shared(
        opening: &Opening<'_>,
        cluster: &Cluster,
        part: &Part,
    ) -> Result<Opened, EngineError> {
        let feed: Arc<dyn ChangeFeed> = cluster.kafka.clone();
        let reader: Arc<dyn StateReader> = cluster.redis.clone();
        let duty = match part {
            Part::Whole => {
                let partitions = opening.config.events.partitions;
                Duty::All(claimed(&cluster.kafka, partitions).map_err(kafka_failed)?)
            }
            Part::Some(roles) if roles.contains(&Role::Process) => Duty::Given { reader },
            Part::Some(roles) => Duty::Follow(Follow {
                feed: feed.clone(),
                reader,
                keeps_rows: roles.contains(&Role::Serve),
            }),
        };
        let store: Arc<dyn StateStore> = cluster.redis.clone();
        Ok(Opened {
            log: cluster.kafka.clone() as Arc<dyn EventLog>,
            store: Arc::new(PublishingStore::new(store, feed)),
            duty,
        })
    }

    /// Takes every partition over: epochs from the log, above all that were given before.
    fn claimed(log: &KafkaLog, partitions: u16) -> Result<Epochs, KafkaLogError> {
        let claims: Vec<_> = (0..partitions)
            .map(|partition| Ownership::claim(log, PartitionId(partition)))
            .collect();
        let epoch = |claim: ClaimAck| Ok(Epoch(claim.wait()?.0));
        let epochs: Result<Vec<Epoch>, KafkaLogError> = claims.into_iter().map(epoch).collect();
        epochs.map(Epochs::by_partition)
    }

    /// One epoch above all that the store knows. The log's folder has one owner at a time, so two
    /// never ask at once for the same log.
    fn next(store: &dyn StateStore, partitions: u16) -> Result<Epochs, StoreError> {
        let events = (0..partitions).map(|partition| ChainId::events(PartitionId(partition)));
        let mut highest = Epoch::default();
        for chain in events.chain([ChainId::CATALOG]) {
            match store.claim(chain, Epoch::default()) {
                Ok(()) => {}
                Err(StoreError::Fenced { owner, .. }) => highest = highest.max(owner),
                Err(error) => return Err(error),
            }
        }
        Ok(Epochs::same(Epoch(highest.0 + 1)))
    }

    fn kafka_failed(error: KafkaLogError) -> EngineError {
        EngineError::Backend {
            what: "log.url",
            kind: error.kind(),
            source: Box::new(error),
        }
    }

    fn redis_failed(error: RedisStoreError) -> EngineError {
        EngineError::Backend {
            what: "store.url",
            kind: error.kind(),
            source: Box::new(error),
        }
    }
}

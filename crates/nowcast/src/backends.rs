//! The one place that knows which backend is which: makes the log and the store of an engine from
//! the settings, and takes the partitions over where others might still hold them.

use crate::settings::backends::{BackendSettings, LogPlace, StorePlace};
use nowcast_engine::{Backends, Embedded, EngineError, Opened, Opening};

/// Backends as the settings choose them.
#[derive(Debug, Clone)]
pub struct Chosen(pub BackendSettings);

impl Backends for Chosen {
    fn open(&self, opening: &Opening<'_>) -> Result<Opened, EngineError> {
        let partitions = opening.config.events.partitions;
        let log = self.0.log(partitions).map_err(EngineError::Config)?;
        let store = self.0.store().map_err(EngineError::Config)?;
        match (log, store) {
            (LogPlace::Embedded, StorePlace::Embedded) => Embedded.open(opening),
            #[cfg(feature = "cluster")]
            (log, store) => cluster::open(opening, log, store),
        }
    }
}

#[cfg(feature = "cluster")]
mod cluster {
    //! Kafka, Redis, and the epochs that tell their owners apart.

    use super::{Embedded, EngineError, LogPlace, Opened, Opening, StorePlace};
    use nowcast_log::EventLog;
    use nowcast_log_kafka::{ClaimAck, KafkaLog, KafkaLogError, Ownership};
    use nowcast_store::{ChainId, Epoch, StateStore, StoreError};
    use nowcast_store_redis::{RedisStore, RedisStoreError};
    use nowcast_stream::Epochs;
    use nowcast_types::PartitionId;
    use std::sync::Arc;

    pub(super) fn open(
        opening: &Opening<'_>,
        log: LogPlace,
        store: StorePlace,
    ) -> Result<Opened, EngineError> {
        let partitions = opening.config.events.partitions;
        let kafka = match log {
            LogPlace::Embedded => None,
            LogPlace::Kafka(config) => {
                let log =
                    KafkaLog::open(*config, Arc::clone(opening.types)).map_err(kafka_failed)?;
                Some(Arc::new(log))
            }
        };
        let redis = match store {
            StorePlace::Embedded => None,
            StorePlace::Redis(config) => {
                Some(Arc::new(RedisStore::open(*config).map_err(redis_failed)?))
            }
        };
        let epochs = match (&kafka, &redis) {
            // Nobody else can open the folder that holds the state.
            (_, None) => Epochs::default(),
            (Some(kafka), Some(_)) => claimed(kafka, partitions).map_err(kafka_failed)?,
            (None, Some(redis)) => next(&**redis, partitions)?,
        };
        Ok(Opened {
            log: match kafka {
                Some(kafka) => kafka as Arc<dyn EventLog>,
                None => Embedded::log(opening)?,
            },
            store: match redis {
                Some(redis) => redis as Arc<dyn StateStore>,
                None => Embedded::store(opening)?,
            },
            epochs,
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

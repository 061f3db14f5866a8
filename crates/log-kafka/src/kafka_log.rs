//! The log itself: streams and side topics over one producer and one reader.

use crate::channel::Channel;
use crate::config::KafkaConfig;
use crate::error::KafkaLogError;
use crate::label;
use crate::parcel::Message;
use crate::producer::Producer;
use crate::reader::Reader;
use crate::topics::{self, Topic};
use nowcast_log::{AppendAck, Bounds, ChangeFeed, EventLog, LogError, RecordBatch, StoredBatch};
use nowcast_types::{EventTypes, Offset, PartitionId, Stream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What an append may wait for beyond its own timeout when the log closes.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Streams on a Kafka cluster. Dropping it delivers what is queued, or fails it in time.
pub struct KafkaLog {
    config: KafkaConfig,
    event_types: Arc<EventTypes>,
    producer: Producer,
    reader: Reader,
    /// In the order of [`Topic::ALL`], then of partitions.
    channels: Vec<Arc<Channel>>,
}

/// One entry of a side topic.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What the entry is about, for readers of the topic; may be empty.
    pub key: &'a [u8],
    /// The entry itself.
    pub value: &'a [u8],
    /// What kind of entry it is, for the header `type`.
    pub kind: &'a str,
    /// What the value's bytes are, for the header `schema`.
    pub schema: &'a str,
}

impl KafkaLog {
    /// Connects, creates the topics that are missing, and compares those that are there.
    /// `event_types` name the types in the messages' headers.
    ///
    /// # Errors
    /// [`KafkaLogError::TopicDisagrees`] and [`KafkaLogError::NoTopic`] about topics;
    /// [`KafkaLogError::Client`] if the cluster does not answer in `read_timeout`; settings.
    pub fn open(config: KafkaConfig, event_types: Arc<EventTypes>) -> Result<Self, KafkaLogError> {
        config.check()?;
        topics::ensure(&config)?;
        let mut channels = Vec::new();
        for topic in Topic::ALL {
            let name = topic.name(&config.topic_prefix);
            for partition in 0..topic.partitions(config.partitions) {
                channels.push(Arc::new(Channel::new(topic, name.clone(), partition)));
            }
        }
        Ok(Self {
            producer: Producer::new(&config)?,
            reader: Reader::new(&config)?,
            config,
            event_types,
            channels,
        })
    }

    /// The settings in use.
    #[must_use]
    pub fn config(&self) -> &KafkaConfig {
        &self.config
    }

    fn channel(&self, topic: Topic, partition: PartitionId) -> Result<&Arc<Channel>, LogError> {
        let partitions = topic.partitions(self.config.partitions);
        if partition.0 >= partitions {
            return Err(match topic {
                Topic::Stream(stream) => LogError::NoPartition { stream, partition },
                _ => LogError::BadConfig(format!(
                    "{} has no partition {}",
                    topic.name(&self.config.topic_prefix),
                    partition.0
                )),
            });
        }
        let before = Topic::ALL.iter().take_while(|other| **other != topic);
        let before: usize = before
            .map(|other| usize::from(other.partitions(self.config.partitions)))
            .sum();
        Ok(&self.channels[before + usize::from(partition.0)])
    }

    /// Appends entries to any topic; like [`EventLog::append`], but in bytes.
    pub fn append_entries(
        &self,
        topic: Topic,
        partition: PartitionId,
        entries: &[Entry<'_>],
    ) -> AppendAck {
        let channel = match self.channel(topic, partition) {
            Ok(channel) if !entries.is_empty() => channel,
            Ok(_) => {
                let refused = LogError::BadBatch("it has no entries".to_owned());
                return AppendAck::ready(Err(refused));
            }
            Err(error) => return AppendAck::ready(Err(error)),
        };
        let bytes: usize = entries.iter().map(|entry| entry.value.len()).sum();
        if bytes > nowcast_log::BATCH_BYTES_MAX {
            let refused = format!("{bytes} bytes are too many for one append");
            return AppendAck::ready(Err(LogError::BadBatch(refused)));
        }
        let messages = entries.iter().map(|entry| Message {
            key: entry.key,
            value: entry.value,
            id: "",
            kind: entry.kind,
            schema: entry.schema,
        });
        let trace = label::new_trace();
        self.producer.append(channel, messages, bytes, &trace)
    }

    /// Reads any topic; the batches' [`encoded`](StoredBatch::encoded) entries are what was
    /// appended. Otherwise like [`EventLog::read`].
    ///
    /// # Errors
    /// As [`EventLog::read`].
    pub fn read_entries(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        let channel = self.channel(topic, partition)?;
        self.reader.read(channel, from, bytes_max)
    }

    /// What a partition of any topic holds now.
    ///
    /// # Errors
    /// As [`EventLog::bounds`].
    pub fn entry_bounds(&self, topic: Topic, partition: PartitionId) -> Result<Bounds, LogError> {
        self.reader.bounds(self.channel(topic, partition)?)
    }

    /// Waits for the end of a partition of any topic; like [`EventLog::wait_beyond`].
    pub fn wait_entries(
        &self,
        topic: Topic,
        partition: PartitionId,
        offset: Offset,
        timeout: Duration,
    ) -> bool {
        self.channel(topic, partition)
            .is_ok_and(|channel| self.reader.wait_beyond(channel, offset, timeout))
    }

    /// The highest end of a partition that this process has seen, without asking a broker.
    pub(crate) fn known_end(&self, topic: Topic, partition: PartitionId) -> Offset {
        self.channel(topic, partition)
            .map_or(0, |channel| channel.end.get())
    }

    /// Answers appends that are queued now, or fails them at the latest in `delivery_timeout`.
    pub fn flush(&self) {
        let patience = self.config.delivery_timeout.duration() + CLOSE_PATIENCE;
        self.producer.flush(&self.channels, patience);
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.flush();
    }
}

impl EventLog for KafkaLog {
    fn append(&self, stream: Stream, partition: PartitionId, batch: RecordBatch) -> AppendAck {
        let checked = self
            .channel(Topic::Stream(stream), partition)
            .and_then(|channel| batch.check().map(|()| channel));
        let channel = match checked {
            Ok(channel) => channel,
            Err(error) => return AppendAck::ready(Err(error)),
        };
        let new_trace;
        let trace = match batch.trace() {
            Some(trace) => trace,
            None => {
                new_trace = label::new_trace();
                &new_trace
            }
        };
        let labelled = label::Labelled::new(&batch, &self.event_types);
        let (labels, keys) = match labelled {
            Ok(labelled) => (labelled.labels, labelled.keys),
            Err(error) => return AppendAck::ready(Err(error)),
        };
        let messages = labels.iter().map(|label| label.message(&keys));
        let bytes = batch.byte_len();
        self.producer.append(channel, messages, bytes, trace)
    }

    fn read(
        &self,
        stream: Stream,
        partition: PartitionId,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        self.read_entries(Topic::Stream(stream), partition, from, bytes_max)
    }

    fn bounds(&self, stream: Stream, partition: PartitionId) -> Result<Bounds, LogError> {
        self.entry_bounds(Topic::Stream(stream), partition)
    }

    fn wait_beyond(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
        timeout: Duration,
    ) -> bool {
        self.wait_entries(Topic::Stream(stream), partition, offset, timeout)
    }

    fn protect(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError> {
        let channel = self.channel(Topic::Stream(stream), partition)?;
        channel.protected.store(offset, Ordering::Release);
        Ok(())
    }

    fn truncate_before(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError> {
        let channel = self.channel(Topic::Stream(stream), partition)?;
        let limit = offset.min(channel.protected.load(Ordering::Acquire));
        let Bounds { earliest, end } = self.reader.bounds(channel)?;
        if limit > earliest {
            self.reader.delete_before(channel, limit.min(end))?;
        }
        Ok(())
    }

    fn partitions(&self, stream: Stream) -> u16 {
        stream.partitions(self.config.partitions)
    }
}

impl ChangeFeed for KafkaLog {
    fn publish(&self, partition: PartitionId, entry: &[u8]) -> AppendAck {
        let entry = Entry {
            key: &[],
            value: entry,
            kind: "item-delta",
            schema: "nowcast-delta",
        };
        self.append_entries(Topic::ItemDeltas, partition, &[entry])
    }

    fn entries(
        &self,
        partition: PartitionId,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<(Offset, Vec<u8>)>, LogError> {
        let batches = self.read_entries(Topic::ItemDeltas, partition, from, bytes_max)?;
        let entries = batches.iter().flat_map(StoredBatch::encoded);
        let wanted = entries.filter(|(offset, _)| *offset >= from);
        Ok(wanted
            .map(|(offset, entry)| (offset, entry.to_vec()))
            .collect())
    }

    fn feed_bounds(&self, partition: PartitionId) -> Result<Bounds, LogError> {
        self.entry_bounds(Topic::ItemDeltas, partition)
    }

    fn wait_entries(&self, partition: PartitionId, offset: Offset, timeout: Duration) -> bool {
        Self::wait_entries(self, Topic::ItemDeltas, partition, offset, timeout)
    }

    fn entry_bytes_max(&self) -> usize {
        nowcast_log::BATCH_BYTES_MAX
    }
}

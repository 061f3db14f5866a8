//! Streams as topics: their names, how they are created, and what is refused.
//!
//! A topic that is there already keeps its settings; ours are compared with them, because records
//! spread over another number of partitions or kept by fewer copies break promises quietly.

use crate::client::{self, Link, MESSAGE_BYTES_MAX};
use crate::config::{KafkaConfig, Mismatch};
use crate::error::KafkaLogError;
use nowcast_types::Stream;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use std::thread;
use std::time::{Duration, Instant};

/// What the log keeps on the brokers: the streams, and two topics that only a cluster needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A stream of the log.
    Stream(Stream),
    /// Changes of item counters, from the owners of partitions to those who serve; as many
    /// partitions as the events. The log does not know their format.
    ItemDeltas,
    /// Who took which event partition over: one partition for each. The offset of a claim is its
    /// epoch, so nothing here is ever deleted.
    Control,
}

impl Topic {
    /// Every topic, in a fixed order.
    pub const ALL: [Self; 8] = [
        Self::Stream(Stream::Events),
        Self::Stream(Stream::Catalog),
        Self::Stream(Stream::DeadLetters),
        Self::Stream(Stream::Late),
        Self::Stream(Stream::Schemas),
        Self::Stream(Stream::Examples),
        Self::ItemDeltas,
        Self::Control,
    ];

    /// The topic's name behind the prefix.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Stream(stream) => stream.name(),
            Self::ItemDeltas => "item-deltas",
            Self::Control => "control",
        }
    }

    /// The whole name, such as `nowcast.events`.
    #[must_use]
    pub fn name(self, prefix: &str) -> String {
        format!("{prefix}.{}", self.suffix())
    }

    /// How many partitions the topic has when events have `event_partitions`.
    #[must_use]
    pub const fn partitions(self, event_partitions: u16) -> u16 {
        match self {
            Self::Stream(stream) => stream.partitions(event_partitions),
            Self::ItemDeltas | Self::Control => event_partitions,
        }
    }
}

/// How long changes of the item side are kept: a day.
const DELTAS_AGE_MS: i64 = 86_400_000;

/// One setting of a topic.
struct Setting {
    key: &'static str,
    ours: String,
    rule: Rule,
}

/// When the broker's value is good.
enum Rule {
    /// Only ours.
    Equal,
    /// Ours or more.
    AtLeast,
    /// Any, but a difference is warned of or refused as configured.
    Retention,
}

fn settings(topic: Topic, config: &KafkaConfig) -> Vec<Setting> {
    let setting = |key, ours: String, rule| Setting { key, ours, rule };
    let mut all = vec![
        setting(
            "min.insync.replicas",
            config.min_insync_replicas.to_string(),
            Rule::Equal,
        ),
        setting("cleanup.policy", "delete".to_owned(), Rule::Equal),
        setting(
            "unclean.leader.election.enable",
            "false".to_owned(),
            Rule::Equal,
        ),
        setting(
            "max.message.bytes",
            MESSAGE_BYTES_MAX.to_string(),
            Rule::AtLeast,
        ),
    ];
    if matches!(topic, Topic::Control | Topic::Stream(Stream::Schemas)) {
        all.push(setting("retention.ms", "-1".to_owned(), Rule::Equal));
        all.push(setting("retention.bytes", "-1".to_owned(), Rule::Equal));
    } else {
        let bytes = match config.retention_bytes.bytes() {
            0 => "-1".to_owned(),
            bytes => bytes.to_string(),
        };
        // Changes of the item side are a hint to who follows now; the state itself is elsewhere.
        let age_ms = match topic {
            Topic::ItemDeltas => config.retention_age.ms().min(DELTAS_AGE_MS),
            _ => config.retention_age.ms(),
        };
        all.push(setting("retention.ms", age_ms.to_string(), Rule::Retention));
        all.push(setting("retention.bytes", bytes, Rule::Retention));
    }
    all
}

/// Creates what is missing and compares the rest, until all topics have leaders.
pub(crate) fn ensure(config: &KafkaConfig) -> Result<(), KafkaLogError> {
    let admin = client::admin(config)?;
    let deadline = Instant::now() + config.read_timeout.duration();
    let metadata = fetch_metadata(&admin, deadline)?;
    let missing: Vec<Topic> = Topic::ALL
        .into_iter()
        .filter(|topic| find(&metadata, &topic.name(&config.topic_prefix)).is_none())
        .collect();
    if !missing.is_empty() {
        create(&admin, config, &missing)?;
    }
    let metadata = wait_for_leaders(&admin, config, deadline)?;
    for topic in Topic::ALL {
        compare_shape(topic, config, &metadata)?;
    }
    compare_settings(&admin, config)
}

/// Asks for all topics: asking for one by name would create it on brokers that do so.
fn fetch_metadata(admin: &AdminClient<Link>, deadline: Instant) -> Result<Metadata, KafkaLogError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match admin.inner().fetch_metadata(None, left.min(PATIENCE)) {
            Ok(metadata) => return Ok(metadata),
            Err(error) if Instant::now() >= deadline => {
                return Err(KafkaLogError::Client {
                    what: "no broker tells its topics (are addresses, TLS and credentials right?)",
                    source: error,
                });
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

fn find<'a>(metadata: &'a Metadata, name: &str) -> Option<&'a rdkafka::metadata::MetadataTopic> {
    metadata
        .topics()
        .iter()
        .find(|topic| topic.name() == name && topic.error().is_none())
}

fn options(config: &KafkaConfig) -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(config.read_timeout.duration()))
        .operation_timeout(Some(config.read_timeout.duration()))
}

fn create(
    admin: &AdminClient<Link>,
    config: &KafkaConfig,
    missing: &[Topic],
) -> Result<(), KafkaLogError> {
    let names: Vec<String> = missing
        .iter()
        .map(|topic| topic.name(&config.topic_prefix))
        .collect();
    if !config.is_creating_topics {
        return Err(KafkaLogError::NoTopic {
            topic: names.join(", "),
            reason: "is not there, and `is_creating_topics` is false".to_owned(),
        });
    }
    let all_settings: Vec<Vec<Setting>> = missing.iter().map(|t| settings(*t, config)).collect();
    let topics: Vec<NewTopic<'_>> = missing
        .iter()
        .zip(&names)
        .zip(&all_settings)
        .map(|((topic, name), settings)| {
            let partitions = i32::from(topic.partitions(config.partitions));
            let replication = TopicReplication::Fixed(i32::from(config.replication));
            let new = NewTopic::new(name, partitions, replication);
            settings
                .iter()
                .fold(new, |new, setting| new.set(setting.key, &setting.ours))
        })
        .collect();
    let results = client::wait_for(admin.create_topics(&topics, &options(config)))
        .map_err(KafkaLogError::client("create the topics"))?;
    for result in results {
        match result {
            // Another process was faster; its settings are compared like any other's.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(KafkaLogError::NoTopic {
                    topic,
                    reason: format!(
                        "was not created with replication {} and {} in sync: {code}",
                        config.replication, config.min_insync_replicas
                    ),
                });
            }
        }
    }
    Ok(())
}

fn wait_for_leaders(
    admin: &AdminClient<Link>,
    config: &KafkaConfig,
    deadline: Instant,
) -> Result<Metadata, KafkaLogError> {
    loop {
        let metadata = fetch_metadata(admin, deadline)?;
        let waiting = Topic::ALL.into_iter().find(|topic| {
            let found = find(&metadata, &topic.name(&config.topic_prefix));
            !found.is_some_and(|found| found.partitions().iter().all(|p| p.leader() >= 0))
        });
        let Some(topic) = waiting else {
            return Ok(metadata);
        };
        if Instant::now() >= deadline {
            return Err(KafkaLogError::NoTopic {
                topic: topic.name(&config.topic_prefix),
                reason: "has partitions without a leader".to_owned(),
            });
        }
        thread::sleep(PAUSE);
    }
}

fn compare_shape(
    topic: Topic,
    config: &KafkaConfig,
    metadata: &Metadata,
) -> Result<(), KafkaLogError> {
    let name = topic.name(&config.topic_prefix);
    let Some(found) = find(metadata, &name) else {
        return Ok(());
    };
    let refuse = |setting, ours: usize, theirs: usize, advice| {
        Err(KafkaLogError::TopicDisagrees {
            topic: name.clone(),
            setting,
            ours: ours.to_string(),
            theirs: theirs.to_string(),
            advice,
        })
    };
    let ours = usize::from(topic.partitions(config.partitions));
    let theirs = found.partitions().len();
    if ours != theirs {
        let advice = "users keep their partition for life: set `partitions` to what the topic has";
        return refuse("partitions", ours, theirs, advice);
    }
    let ours = usize::from(config.replication);
    let copies = found.partitions().iter().map(|p| p.replicas().len());
    match copies.min() {
        Some(theirs) if theirs != ours => {
            let advice = "set `replication` to it, or reassign the topic's replicas";
            refuse("replication", ours, theirs, advice)
        }
        _ => Ok(()),
    }
}

fn compare_settings(admin: &AdminClient<Link>, config: &KafkaConfig) -> Result<(), KafkaLogError> {
    let names: Vec<String> = Topic::ALL
        .iter()
        .map(|topic| topic.name(&config.topic_prefix))
        .collect();
    let resources: Vec<_> = names.iter().map(|n| ResourceSpecifier::Topic(n)).collect();
    let answers = client::wait_for(admin.describe_configs(&resources, &options(config)))
        .map_err(KafkaLogError::client("ask for the topics' settings"))?;
    for ((topic, name), answer) in Topic::ALL.into_iter().zip(names).zip(answers) {
        let resource = answer.map_err(|code| KafkaLogError::NoTopic {
            topic: name.clone(),
            reason: format!("does not show its settings: {code}"),
        })?;
        for setting in settings(topic, config) {
            compare_setting(&name, &setting, &resource, config)?;
        }
    }
    Ok(())
}

fn compare_setting(
    topic: &str,
    setting: &Setting,
    resource: &ConfigResource,
    config: &KafkaConfig,
) -> Result<(), KafkaLogError> {
    let entry = resource.get(setting.key);
    let Some(theirs) = entry.and_then(|entry| entry.value.clone()) else {
        return Ok(());
    };
    let ours = &setting.ours;
    let is_good = match setting.rule {
        Rule::Equal | Rule::Retention => theirs == *ours,
        Rule::AtLeast => theirs.parse::<u64>().ok() >= ours.parse::<u64>().ok(),
    };
    if is_good {
        return Ok(());
    }
    if matches!(setting.rule, Rule::Retention) && config.retention_mismatch == Mismatch::Warn {
        let setting = setting.key;
        tracing::warn!(topic, setting, %ours, %theirs, "the broker's retention is not ours");
        return Ok(());
    }
    Err(KafkaLogError::TopicDisagrees {
        topic: topic.to_owned(),
        setting: setting.key,
        ours: ours.clone(),
        theirs,
        advice: "change the setting here, or the topic's with `kafka-configs --alter`",
    })
}

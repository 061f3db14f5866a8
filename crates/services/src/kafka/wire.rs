//! Two requests of Kafka's protocol: what a broker knows of its cluster, and a new topic.
//!
//! Fixed old versions that brokers of Kafka 4 still speak: Metadata 5 and CreateTopics 4
//! (<https://kafka.apache.org/protocol>). It is not a client to build on.

use crate::error::{Result, ServicesError};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a broker may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// An answer beyond this is none of a Kafka broker.
const ANSWER_BYTES_MAX: usize = 64 << 20;

const METADATA: (i16, i16) = (3, 5);
const CREATE_TOPICS: (i16, i16) = (19, 4);

/// A cluster as one broker sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The live brokers by node id, with their addresses for clients.
    pub brokers: BTreeMap<i32, SocketAddr>,
    /// A broker through which the controller can be reached; none while there is none.
    pub controller: Option<i32>,
    /// All partitions of all topics, internal ones too.
    pub partitions: Vec<PartitionView>,
}

/// A partition as one broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    pub index: i32,
    /// The node id of its leader; -1 while there is none.
    pub leader: i32,
    /// The node ids of all replicas.
    pub replicas: Vec<i32>,
    /// The node ids of those in sync.
    pub in_sync: Vec<i32>,
}

impl ClusterView {
    /// One partition of a topic, if it exists.
    #[must_use]
    pub fn partition(&self, topic: &str, index: i32) -> Option<&PartitionView> {
        self.partitions
            .iter()
            .find(|partition| partition.topic == topic && partition.index == index)
    }
}

/// Asks a broker for its view of the cluster.
pub(super) fn cluster(broker: SocketAddr) -> Result<ClusterView> {
    let mut body = Vec::new();
    // No list of topics means all of them; and none shall be created.
    body.extend((-1_i32).to_be_bytes());
    body.push(0);
    let answer = ask(broker, METADATA, &body)?;
    read_view(&mut Reader { rest: &answer }).ok_or_else(|| odd(broker))
}

/// Creates a topic and waits until the controller has it.
pub(super) fn create_topic(
    broker: SocketAddr,
    name: &str,
    partitions: i32,
    replication: i16,
) -> Result<()> {
    let timeout_ms = i32::try_from(ANSWER_WITHIN.as_millis()).unwrap_or(i32::MAX);
    let mut body = Vec::new();
    body.extend(1_i32.to_be_bytes());
    push_text(&mut body, name);
    body.extend(partitions.to_be_bytes());
    body.extend(replication.to_be_bytes());
    // No assignments, no settings of its own.
    body.extend(0_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(timeout_ms.to_be_bytes());
    body.push(0);
    let answer = ask(broker, CREATE_TOPICS, &body)?;
    let (code, message) = read_created(&mut Reader { rest: &answer }).ok_or_else(|| odd(broker))?;
    if code == 0 {
        return Ok(());
    }
    let message = message.unwrap_or_default();
    let refusal = format!("topic `{name}` refused with error {code}: {message}");
    Err(ServicesError::answer(format!("kafka at {broker}"), refusal))
}

fn odd(broker: SocketAddr) -> ServicesError {
    ServicesError::answer(format!("kafka at {broker}"), "an answer cut short")
}

/// Sends one request and reads the body of its answer.
fn ask(broker: SocketAddr, (key, version): (i16, i16), body: &[u8]) -> Result<Vec<u8>> {
    const CORRELATION: i32 = 1;
    let io = |source| ServicesError::io(format!("ask kafka at {broker}"), source);
    let mut request = Vec::new();
    request.extend(key.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(CORRELATION.to_be_bytes());
    push_text(&mut request, "nowcast-services");
    request.extend(body);
    let length = i32::try_from(request.len()).unwrap_or(i32::MAX);

    let mut stream = TcpStream::connect_timeout(&broker, ANSWER_WITHIN).map_err(io)?;
    // A request of a topic waits at the broker for as long.
    stream
        .set_read_timeout(Some(ANSWER_WITHIN * 2))
        .map_err(io)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], &request].concat())
        .map_err(io)?;
    let mut head = [0; 8];
    stream.read_exact(&mut head).map_err(io)?;
    let mut head = Reader { rest: &head };
    let length = head
        .int()
        .and_then(|length| usize::try_from(length - 4).ok());
    let (Some(length), Some(CORRELATION)) = (length, head.int()) else {
        return Err(odd(broker));
    };
    if length > ANSWER_BYTES_MAX {
        return Err(odd(broker));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).map_err(io)?;
    Ok(answer)
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn read_view(reader: &mut Reader<'_>) -> Option<ClusterView> {
    let mut view = ClusterView::default();
    let _throttle_ms = reader.int()?;
    for _ in 0..reader.int()? {
        let id = reader.int()?;
        let host = reader.text()??;
        let port = u16::try_from(reader.int()?).ok()?;
        let _rack = reader.text()?;
        let address = SocketAddr::new(host.parse().ok()?, port);
        view.brokers.insert(id, address);
    }
    let _cluster_id = reader.text()?;
    view.controller = Some(reader.int()?).filter(|id| *id >= 0);
    for _ in 0..reader.int()? {
        let _error = reader.short()?;
        let topic = reader.text()??;
        let _is_internal = reader.take::<1>()?;
        for _ in 0..reader.int()? {
            let _error = reader.short()?;
            view.partitions.push(PartitionView {
                topic: topic.clone(),
                index: reader.int()?,
                leader: reader.int()?,
                replicas: reader.ints()?,
                in_sync: reader.ints()?,
            });
            let _offline = reader.ints()?;
        }
    }
    Some(view)
}

/// The error code and message of the one topic asked for.
fn read_created(reader: &mut Reader<'_>) -> Option<(i16, Option<String>)> {
    let _throttle_ms = reader.int()?;
    let _topics = reader.int()?;
    let _name = reader.text()?;
    Some((reader.short()?, reader.text()?))
}

/// Reads big-endian fields; none means that the bytes are at an end.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn short(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn int(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn ints(&mut self) -> Option<Vec<i32>> {
        (0..self.int()?).map(|_| self.int()).collect()
    }

    /// A text or null.
    fn text(&mut self) -> Option<Option<String>> {
        let Ok(length) = usize::try_from(self.short()?) else {
            return Some(None);
        };
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(String::from_utf8_lossy(taken).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cut_anywhere_is_refused_and_not_a_panic() {
        let mut answer = Vec::new();
        answer.extend(0_i32.to_be_bytes());
        answer.extend(1_i32.to_be_bytes());
        answer.extend(7_i32.to_be_bytes());
        push_text(&mut answer, "127.0.0.1");
        answer.extend(9092_i32.to_be_bytes());
        answer.extend((-1_i16).to_be_bytes());
        push_text(&mut answer, "cluster");
        answer.extend(7_i32.to_be_bytes());
        answer.extend(0_i32.to_be_bytes());
        let view = read_view(&mut Reader { rest: &answer }).unwrap();
        assert_eq!(view.controller, Some(7));
        assert_eq!(view.brokers[&7], "127.0.0.1:9092".parse().unwrap());
        for end in 0..answer.len() {
            let cut = Reader {
                rest: &answer[..end],
            };
            assert_eq!(read_view(&mut { cut }), None, "at {end}");
        }
    }
}

//! The messages of one append, ready to be handed over, and the line they stand in.
//!
//! An append that finds its partition idle goes at once. Those that come while others are under way
//! wait, and go together when the last report is in: the busier the brokers, the larger the
//! batches, and nobody waits for company when there is none.

use crate::channel::Channel;
use crate::delivery::Delivery;
use crate::producer::Client;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use std::sync::Arc;

/// One message to append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) schema: &'a str,
}

/// One append.
pub(crate) struct Parcel {
    /// Key and value of each message, one after the other.
    bytes: Vec<u8>,
    parts: Vec<Part>,
    delivery: Arc<Delivery>,
}

struct Part {
    key_len: usize,
    value_len: usize,
    headers: OwnedHeaders,
}

/// Messages that were not handed over, and why.
pub(crate) struct Unsent {
    delivery: Arc<Delivery>,
    messages: usize,
    error: KafkaError,
}

impl Unsent {
    /// Tells who waits for them. Not to be called while the line is locked.
    pub(crate) fn report(self) {
        self.delivery.refuse(self.messages, &self.error);
    }
}

impl Parcel {
    pub(crate) fn new<'a>(
        messages: impl ExactSizeIterator<Item = Message<'a>>,
        bytes: usize,
        trace: &str,
        delivery: Arc<Delivery>,
    ) -> Self {
        let mut parcel = Self {
            bytes: Vec::with_capacity(bytes),
            parts: Vec::with_capacity(messages.len()),
            delivery,
        };
        for message in messages {
            let mut headers = OwnedHeaders::new_with_capacity(4);
            for (key, value) in [
                ("id", message.id),
                ("type", message.kind),
                ("schema", message.schema),
                ("traceparent", trace),
            ] {
                let value = Some(value);
                headers = headers.insert(Header { key, value });
            }
            parcel.bytes.extend_from_slice(message.key);
            parcel.bytes.extend_from_slice(message.value);
            parcel.parts.push(Part {
                key_len: message.key.len(),
                value_len: message.value.len(),
                headers,
            });
        }
        parcel
    }

    /// Hands all messages over, in order; what is left when the client takes no more is the answer.
    fn send(self, client: &Client, channel: &Channel) -> Option<Unsent> {
        let (count, mut rest) = (self.parts.len(), self.bytes.as_slice());
        self.delivery.set_off();
        for (at, part) in self.parts.into_iter().enumerate() {
            let (key, after) = rest.split_at(part.key_len);
            let (value, after) = after.split_at(part.value_len);
            rest = after;
            let mut record = BaseRecord::with_opaque_to(&channel.name, self.delivery.clone())
                .partition(channel.native_partition())
                .payload(value)
                .headers(part.headers);
            if !key.is_empty() {
                record = record.key(key);
            }
            if let Err((error, _)) = client.send(record) {
                // What is queued already is sent; the append as a whole has failed.
                return Some(Unsent {
                    delivery: self.delivery,
                    messages: count - at,
                    error,
                });
            }
        }
        None
    }
}

/// The line of one partition.
#[derive(Default)]
pub(crate) struct Line {
    under_way: usize,
    waiting: Vec<Parcel>,
}

impl Line {
    /// Sends a parcel if nothing is under way; otherwise it waits.
    pub(crate) fn join(
        &mut self,
        parcel: Parcel,
        client: &Client,
        channel: &Channel,
    ) -> Option<Unsent> {
        if self.under_way > 0 {
            self.waiting.push(parcel);
            return None;
        }
        self.under_way = 1;
        parcel.send(client, channel)
    }

    /// One append less is under way; whether it was the last.
    pub(crate) fn arrive(&mut self) -> bool {
        self.under_way -= 1;
        self.under_way == 0
    }

    /// Sends all who wait.
    pub(crate) fn go_on(&mut self, client: &Client, channel: &Channel) -> Vec<Unsent> {
        let waiting = std::mem::take(&mut self.waiting);
        self.under_way += waiting.len();
        let sent = waiting.into_iter();
        sent.filter_map(|parcel| parcel.send(client, channel))
            .collect()
    }

    /// Those who wait, sent home: dropping them answers them.
    pub(crate) fn disperse(&mut self) -> Vec<Arc<Delivery>> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|parcel| parcel.delivery).collect()
    }
}

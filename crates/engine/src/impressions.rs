//! What was shown becomes events, after the answer has left: a bounded queue and one thread.
//!
//! Where the online ranker's scores counted, a slate with what they went by was handed to the log
//! before the answer left, so that no outcome can overtake it; here is only noted what became of it.
//!
//! Recording never delays or fails an answer. When the log is slower than the answers, the queue
//! is full and impressions are dropped and counted: rates lose a little precision, nothing else.

use crate::error::EngineError;
use crate::ingest::Ingestor;
use crate::meters::Meters;
use crate::slot_tally::SlotTally;
use nowcast_log::AppendAck;
use nowcast_types::{DeviceClass, EventTypeCode, SessionKey, Timestamp, UserKey};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Answers recorded with one append at most.
const ANSWERS_PER_APPEND: usize = 64;

/// The items of one answer, as they were shown.
#[derive(Debug)]
pub struct Shown {
    /// To whom.
    pub user: UserKey,
    /// In which session.
    pub session: Option<SessionKey>,
    /// In which answer.
    pub request_id: String,
    /// Where.
    pub slot: String,
    /// What, best first.
    pub items: Vec<Arc<str>>,
    /// When.
    pub at: Timestamp,
    /// On what.
    pub device: DeviceClass,
    /// Whether each item becomes an impression.
    pub is_counted: bool,
    /// The answer to the append of its slate, if there is one.
    pub slate: Option<AppendAck>,
}

impl Shown {
    /// Impressions that it makes.
    #[must_use]
    pub fn impressions(&self) -> u64 {
        if self.is_counted {
            self.items.len() as u64
        } else {
            0
        }
    }
}

/// The queue in front of the recording thread.
pub struct ImpressionQueue {
    sender: Mutex<Option<SyncSender<Shown>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    meters: Arc<Meters>,
}

impl ImpressionQueue {
    /// Starts the thread. At most `answers_max` answers wait.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(
        ingestor: Arc<Ingestor>,
        meters: Arc<Meters>,
        slots: Arc<SlotTally>,
        answers_max: usize,
    ) -> Result<Self, EngineError> {
        let (sender, receiver) = sync_channel(answers_max.max(1));
        let recorder = Recorder {
            ingestor,
            meters: Arc::clone(&meters),
            slots,
        };
        let thread = std::thread::Builder::new()
            .name("impressions".to_owned())
            .spawn(move || recorder.run(&receiver))
            .map_err(|error| EngineError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            meters,
        })
    }

    /// Queues an answer; drops and counts it if the queue is full.
    pub fn record(&self, shown: Shown) {
        let count = shown.impressions();
        let sent = match &*self.sender.lock() {
            Some(sender) => sender.try_send(shown),
            None => Err(TrySendError::Disconnected(shown)),
        };
        if sent.is_err() {
            self.meters.impressions_shed(count);
        }
    }

    /// Records what is queued and ends the thread.
    pub fn stop(&self) {
        drop(self.sender.lock().take());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the impressions thread has panicked");
        }
    }
}

struct Recorder {
    ingestor: Arc<Ingestor>,
    meters: Arc<Meters>,
    slots: Arc<SlotTally>,
}

impl Recorder {
    fn run(&self, queue: &Receiver<Shown>) {
        while let Ok(first) = queue.recv() {
            let mut answers = vec![first];
            while answers.len() < ANSWERS_PER_APPEND
                && let Ok(next) = queue.try_recv()
            {
                answers.push(next);
            }
            let slates = answers.iter_mut().filter_map(|shown| shown.slate.take());
            let lost = slates.filter_map(|ack| ack.wait().err());
            for error in lost {
                tracing::warn!(%error, "a slate was not recorded");
                self.meters.slate_shed();
            }
            let count: u64 = answers.iter().map(Shown::impressions).sum();
            if count == 0 {
                continue;
            }
            match self.ingestor.append_impressions(&answers) {
                Ok(()) => {
                    self.meters.impressions(count);
                    for shown in &answers {
                        let items = shown.impressions();
                        let slot = Some(shown.slot.as_str());
                        self.slots.add(slot, EventTypeCode::IMPRESSION, items);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, count, "impressions were not recorded");
                    self.meters.impressions_shed(count);
                }
            }
        }
    }
}

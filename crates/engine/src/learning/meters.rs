//! What is measured of learning. Labels are objectives and kinds of labels: both are configured.

use super::LearningStatus;
use metrics::{Counter, Gauge, counter, gauge};
use nowcast_models::online::Objective;
use nowcast_recommend::ranking::{Label, Lesson, Taught};

/// The mean loss forgets half of what it was after about 700 labels.
const LOSS_SHARE: f64 = 0.001;

/// Handles of the learner's metrics.
pub(super) struct LearningMeters {
    objectives: Vec<ObjectiveMeters>,
    lessons: [Counter; 3],
    rows: Counter,
    lag: Gauge,
}

struct ObjectiveMeters {
    name: String,
    labels: [Counter; 3],
    loss: Gauge,
    /// Decayed sums of losses and of their number.
    sums: (f64, f64),
}

impl LearningMeters {
    pub(super) fn new(objectives: &[Objective]) -> Self {
        let of = |objective: &Objective| {
            let name = objective.name.clone();
            let labels = ["positive", "negative", "corrected"].map(|label| {
                counter!("nowcast_online_labels_total", "objective" => name.clone(), "label" => label)
            });
            ObjectiveMeters {
                labels,
                loss: gauge!("nowcast_online_loss", "objective" => name.clone()),
                name,
                sums: (0.0, 0.0),
            }
        };
        Self {
            objectives: objectives.iter().map(of).collect(),
            lessons: ["learnt", "repeated", "unreadable"]
                .map(|result| counter!("nowcast_online_examples_total", "result" => result)),
            rows: counter!("nowcast_online_rows_published_total"),
            lag: gauge!("nowcast_online_lag_records"),
        }
    }

    /// Notes a label, and its loss in the progressive mean.
    pub(super) fn taught(&mut self, taught: &Taught<'_>) {
        let mut all = self.objectives.iter_mut();
        let Some(own) = all.find(|own| own.name == taught.objective) else {
            return;
        };
        let label = match taught.label {
            Label::Positive => 0,
            Label::Negative => 1,
            Label::Corrected => 2,
        };
        own.labels[label].increment(1);
        let (loss, count) = &mut own.sums;
        *loss += LOSS_SHARE * (f64::from(taught.loss) - *loss);
        *count += LOSS_SHARE * (1.0 - *count);
        own.loss.set(*loss / *count);
    }

    pub(super) fn lesson(&self, lesson: Lesson, status: &mut LearningStatus) {
        match lesson {
            Lesson::Learnt => {
                status.learnt += 1;
                self.lessons[0].increment(1);
            }
            Lesson::Repeated => {
                status.repeated += 1;
                self.lessons[1].increment(1);
            }
            Lesson::Unreadable => self.lessons[2].increment(1),
        }
    }

    pub(super) fn published(&self, rows: usize) {
        self.rows.increment(rows as u64);
    }

    pub(super) fn lag(&self, records: u64) {
        self.lag.set(records as f64);
    }
}

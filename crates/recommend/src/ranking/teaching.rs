//! From a labelled example to steps of the learners: the facts that were scored are expanded by the
//! same templates, so what is learnt from is what was served.

use super::facts::{Facts, ItemFacts, Situation};
use super::features::features;
use nowcast_models::online::{Example, Feature, OnlineRanker};
use nowcast_types::LabelledExample;

/// Fields of features that say how something was shown; apart from those of the templates.
const SLOT_FIELD: u32 = 2_000;
const PLACE_FIELD: u32 = 2_001;
/// Places from here on count as one.
const PLACE_MAX: u16 = 50;

/// What a label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// It came true in time.
    Positive,
    /// It had not come true when the window closed.
    Negative,
    /// It came true after it had been said not to.
    Corrected,
}

/// One label as it was learnt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taught<'a> {
    /// The objective.
    pub objective: &'a str,
    /// What was said of it.
    pub label: Label,
    /// Logistic loss of the prediction before the step.
    pub loss: f32,
}

/// Each objective that a text of labels names; `None` for a label without a known sign.
pub fn labels(text: &str) -> impl Iterator<Item = Option<(Label, &str)>> {
    text.split(' ').map(|word| {
        let known = [
            ('+', Label::Positive),
            ('-', Label::Negative),
            ('~', Label::Corrected),
        ];
        let mut known = known.into_iter();
        known.find_map(|(sign, label)| Some((label, word.strip_prefix(sign)?)))
    })
}

/// Teaches `ranker` what came of an item, and tells `each` label that it learnt.
///
/// Objectives that the ranker does not have are passed over; so is an example whose facts have a
/// layout that is not known, and then the answer is false. A correction counts
/// `correction_importance` times: once for what is true, and the rest to undo what was said before.
pub fn teach<'a>(
    ranker: &mut OnlineRanker,
    example: &LabelledExample<'a>,
    correction_importance: f32,
    mut each: impl FnMut(Taught<'a>),
) -> bool {
    let situation = Situation::decode(example.situation);
    let item = ItemFacts::from_bytes(example.facts);
    let (Some(situation), Some(item)) = (situation, item) else {
        return false;
    };
    let list = features(&Facts {
        situation,
        items: vec![item],
    });
    let slot = Feature::text(SLOT_FIELD, example.slot.as_bytes());
    let place = Feature::new(PLACE_FIELD, u64::from(example.place.min(PLACE_MAX)));
    let shown = [Feature::CONSTANT, slot, place.and(slot)];
    let features = Example {
        indicators: list.item(0),
        shown: &shown,
        prior: list.prior(0),
        ..Example::default()
    };
    for (label, objective) in labels(example.labels).flatten() {
        let Some(learner) = ranker.learner_mut(objective) else {
            continue;
        };
        let (is_positive, importance) = match label {
            Label::Positive => (true, 1.0),
            Label::Negative => (false, 1.0),
            Label::Corrected => (true, correction_importance),
        };
        let margin = learner.learn(&features, is_positive, importance);
        let sign = if is_positive { 1.0 } else { -1.0 };
        each(Taught {
            objective,
            label,
            loss: logistic_loss(sign * margin),
        });
    }
    true
}

/// `ln(1 + e^-margin)`, for margins of either sign without overflow. Only reports read it.
fn logistic_loss(margin: f32) -> f32 {
    (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_models::online::{Objective, OnlineConfig};
    use nowcast_types::{Origin, Timestamp};

    fn objective(name: &str) -> Objective {
        Objective {
            name: name.to_owned(),
            weight: 1.0,
        }
    }

    fn ranker() -> OnlineRanker {
        let config = OnlineConfig {
            indicator_bits: 12,
            ..OnlineConfig::linear()
        };
        OnlineRanker::new(config, vec![objective("click"), objective("like")]).unwrap()
    }

    fn example<'a>(labels: &'a str, situation: &'a [u8], facts: &'a [u8]) -> LabelledExample<'a> {
        LabelledExample {
            origin: Origin {
                partition: 0,
                offset: 0,
                index: 0,
            },
            at: Timestamp(0),
            slate: 0,
            place: 3,
            slot: "default",
            labels,
            score: 0.0,
            situation,
            facts,
        }
    }

    fn facts() -> (Vec<u8>, [u8; 34]) {
        let mut situation = Vec::new();
        Situation::default().encode(&mut situation);
        (situation, ItemFacts::default().to_bytes())
    }

    #[test]
    fn each_label_teaches_its_own_objective() {
        let (situation, facts) = facts();
        let mut ranker = ranker();
        let mut seen = Vec::new();
        let labelled = example("+click -unheard ~like", &situation, &facts);
        assert!(teach(&mut ranker, &labelled, 2.0, |taught| {
            seen.push((taught.objective, taught.label));
            assert!((taught.loss - std::f32::consts::LN_2).abs() < 1e-6);
        }));
        assert_eq!(
            seen,
            [("click", Label::Positive), ("like", Label::Corrected)]
        );
        assert_eq!(ranker.learner("click").unwrap().examples(), 1);
    }

    #[test]
    fn a_negative_undone_and_corrected_is_believed_more_than_not() {
        let (situation, facts) = facts();
        let mut ranker = ranker();
        let mut losses = Vec::new();
        for labels in ["-click", "~click", "+click"] {
            let labelled = example(labels, &situation, &facts);
            teach(&mut ranker, &labelled, 2.0, |taught| {
                losses.push(taught.loss)
            });
        }
        assert!(losses[1] > std::f32::consts::LN_2, "{losses:?}");
        assert!(losses[2] < std::f32::consts::LN_2, "{losses:?}");
    }

    #[test]
    fn what_cannot_be_read_teaches_nothing() {
        let (situation, facts) = facts();
        let mut ranker = ranker();
        assert!(!teach(
            &mut ranker,
            &example("+click", &situation, &facts[1..]),
            2.0,
            |_| {}
        ));
        assert!(!teach(
            &mut ranker,
            &example("+click", &[9], &facts),
            2.0,
            |_| {}
        ));
        teach(
            &mut ranker,
            &example("click ?like", &situation, &facts),
            2.0,
            |_| unreachable!("no label has a sign"),
        );
        assert_eq!(ranker.learner("click").unwrap().examples(), 0);
    }
}

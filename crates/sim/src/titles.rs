//! Invented titles: templates filled with a subject's words.

use crate::rng::SimRng;
use crate::subjects::{QUALITIES, Subject};
use std::collections::BTreeSet;

/// Draws a title for an item of `kind` about `subject` that is not in `taken`, and takes it.
pub fn invent(
    kind: &str,
    subject: &Subject,
    rng: &mut SimRng,
    taken: &mut BTreeSet<String>,
) -> String {
    for _ in 0..40 {
        let title = draft(kind, subject, rng);
        if taken.insert(title.clone()) {
            return title;
        }
    }
    let base = draft(kind, subject, rng);
    let volume = (2..).find(|n| !taken.contains(&format!("{base}, Vol. {n}")));
    let title = format!("{base}, Vol. {}", volume.unwrap_or_default());
    taken.insert(title.clone());
    title
}

fn draft(kind: &str, subject: &Subject, rng: &mut SimRng) -> String {
    let thing = rng.pick(&subject.things);
    let other = rng.pick(&subject.things);
    let place = rng.pick(&subject.places);
    let quality = rng.pick(&QUALITIES);
    let tag = rng.pick(&subject.tags).replace('-', " ");
    match (kind, rng.below(5)) {
        ("article", 0) => format!("What a {thing} Can Teach You About {}", capital(&tag)),
        ("article", 1) => format!("The {quality} {thing} of {place}"),
        ("article", 2) => format!("Notes on {}: A Week in {place}", capital(&tag)),
        ("article", 3) => format!("Why the {thing} Still Matters"),
        ("article", _) => format!("{} From {place}: The {quality} {thing}", capital(&tag)),
        ("book", 0) => format!("The {quality} {thing}"),
        ("book", 1) => format!("A Short History of the {thing}"),
        ("book", 2) => format!("The {thing} and the {other}"),
        ("book", 3) => format!("{quality} {thing}, {quality} {other}"),
        ("book", _) => format!("Letters From {place}"),
        (_, 0) => format!("{}, {quality} {thing}", capital(place)),
        (_, 1) => format!("The {quality} {thing} of {place}"),
        (_, 2) => format!("One {thing} Too Many"),
        (_, 3) => format!("Return to {place}: {thing}"),
        (_, _) => format!("{quality} {thing}"),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subjects::SUBJECTS;

    #[test]
    fn titles_never_repeat_even_when_words_run_out() {
        let mut rng = SimRng::new(1);
        let mut taken = BTreeSet::new();
        for _ in 0..2_000 {
            invent("film", &SUBJECTS[0], &mut rng, &mut taken);
        }
        assert_eq!(taken.len(), 2_000);
    }
}

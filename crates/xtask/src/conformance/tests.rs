//! The short form, as an ordinary test over real servers.

use super::*;

#[test]
fn every_combination_of_log_and_store_has_the_same_state_and_answers() {
    let servers = Servers::start().unwrap();
    let lines = compare(&servers, &input::simulated(4_000), |_| Ok(()));
    let lines: Vec<Line> = lines.into_iter().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 6);
    for line in &lines {
        assert!(line.equal, "{line:?}");
    }
    let of = |at: usize| (&lines[at].state_hash, &lines[at].answers_hash);
    assert!((1..6).all(|at| of(at) == of(0)));
}

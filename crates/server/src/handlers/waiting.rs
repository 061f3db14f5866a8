//! Work that may wait for that of other requests.

use nowcast_engine::Engine;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Runs `answer`. Where requests share passes over a large catalogue, other tasks get another worker
/// meanwhile, as many as there may be requests in progress.
pub(super) fn beside_others<T>(engine: &Engine, answer: impl FnOnce() -> T) -> T {
    let has_workers = || Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if engine.shares_passes() && has_workers() {
        block_in_place(answer)
    } else {
        answer()
    }
}

//! The chains of files keep the rules of every store.

use crate::keyed_state::open;
use nowcast_disk::SimFs;

#[test]
fn the_embedded_store_conforms() {
    let store = open(&SimFs::new(1)).unwrap();
    nowcast_store::conformance::check(&store);
}

//! Being told to stop, whenever that is.

use crate::server::Server;

#[test]
fn a_server_that_is_stopped_as_soon_as_it_is_announced_ends_in_good_order() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["up", "--json", "--listen", "127.0.0.1:0", "--data", "d"];
    for _ in 0..10 {
        Server::start(dir.path(), &args).stop();
    }
}

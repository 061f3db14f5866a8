//! A write whose answer is lost on the way back: was it ours or another one's?

use crate::rig::{FIRST, config, place, server};
use nowcast_store::ArtifactStore;
use nowcast_store::artifact::{ArtifactPlace, LIVE, PREVIOUS};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Passes bytes on, and cuts the connection at a chosen piece of an answer: the server has done the
/// work, the client does not learn of it.
struct Lossy {
    address: SocketAddr,
    /// Pieces until the one that is lost; 0 for none.
    pieces_left: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
}

impl Lossy {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (pieces_left, lost) = (Arc::default(), Arc::default());
        let counters: (Arc<AtomicUsize>, Arc<AtomicUsize>) =
            (Arc::clone(&pieces_left), Arc::clone(&lost));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let server = TcpStream::connect(server).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(from, to, || true));
                let (pieces_left, lost) = counters.clone();
                let may_pass = move || {
                    let less = |left: usize| left.checked_sub(1);
                    let before = pieces_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
                    if before == Ok(1) {
                        lost.fetch_add(1, Ordering::SeqCst);
                    }
                    before != Ok(1)
                };
                std::thread::spawn(move || pass(server, client, may_pass));
            }
        });
        Self {
            address,
            pieces_left,
            lost,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does `work` while the `piece`th piece that comes back is lost; says whether there was one.
    fn losing<T>(&self, piece: usize, work: impl FnOnce() -> T) -> (T, bool) {
        let before = self.lost.load(Ordering::SeqCst);
        self.pieces_left.store(piece, Ordering::SeqCst);
        let done = work();
        self.pieces_left.store(0, Ordering::SeqCst);
        (done, self.lost.load(Ordering::SeqCst) > before)
    }
}

/// Passes bytes on until either side closes or they may not pass; then closes both.
fn pass(mut from: TcpStream, mut to: TcpStream, may_pass: impl Fn() -> bool) {
    let mut buffer = [0; 64 << 10];
    loop {
        let len = from.read(&mut buffer).unwrap_or(0);
        if len == 0 || !may_pass() || to.write_all(&buffer[..len]).is_err() {
            let _ = from.shutdown(std::net::Shutdown::Both);
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

#[test]
fn a_version_that_was_put_without_an_answer_is_known_as_ours() {
    let server = server();
    let lossy = Lossy::start(server.server().address());
    let ours = place("a", &config(&lossy.url()));
    let other = place("a", &config(&server.url()));

    assert_eq!(
        lossy.losing(1, || ours.create(FIRST, b"ours").unwrap()),
        (true, true)
    );
    assert!(!other.create(FIRST, b"theirs").unwrap());
    assert_eq!(other.read(FIRST).unwrap().unwrap().bytes, b"ours");

    // Not even where another one has put the same bytes.
    other.remove(FIRST).unwrap();
    assert!(other.create(FIRST, b"same").unwrap());
    assert_eq!(
        lossy.losing(1, || ours.create(FIRST, b"same").unwrap()),
        (false, true)
    );
}

#[test]
fn a_promotion_is_done_once_whichever_of_its_answers_is_lost() {
    const VERSIONS: u64 = 14;
    let server = server();
    let lossy = Lossy::start(server.server().address());
    let store = ArtifactStore::on(Arc::new(place("a", &config(&lossy.url()))), 100);
    for version in 1..=VERSIONS {
        store.put("ials", version, b"weights").unwrap();
    }
    store.promote("ials", 1).unwrap();
    let mut lost = 0;
    for version in 2..=VERSIONS {
        let piece = version as usize - 1;
        let (done, was_lost) = lossy.losing(piece, || store.promote("ials", version));
        done.unwrap();
        lost += usize::from(was_lost);
        assert_eq!(store.alias("ials", LIVE).unwrap(), Some(version), "{piece}");
        let previous = store.alias("ials", PREVIOUS).unwrap();
        assert_eq!(previous, Some(version - 1), "{piece}");
    }
    // The list, two reads and two writes.
    assert!(lost >= 5, "{lost}");
}

//! What another program or a broken store does to objects is found, and named.

use crate::rig::{config, place, server};
use nowcast_store::ArtifactStore;
use nowcast_store::artifact::{ArtifactPlace, Key, LIVE};
use nowcast_types::ErrorKind;
use std::sync::Arc;

fn key(file: &str) -> Key<'_> {
    Key {
        artifact: "ials",
        file,
    }
}

#[test]
fn damaged_swapped_and_cut_objects_are_refused_by_name() {
    let server = server();
    let place: Arc<dyn ArtifactPlace> = Arc::new(place("a", &config(&server.url())));
    let store = ArtifactStore::on(Arc::clone(&place), 5);
    store.put("ials", 1, b"weights of the first").unwrap();
    store.put("ials", 2, b"weights of the second").unwrap();
    store.promote("ials", 1).unwrap();
    let overwrite = |file: &str, bytes: &[u8]| {
        let tag = place.read(key(file)).unwrap().map(|found| found.tag);
        assert!(place.replace(key(file), tag.as_ref(), bytes).unwrap());
    };
    let sound = place
        .read(key("0000000001.artifact"))
        .unwrap()
        .unwrap()
        .bytes;
    let other = place
        .read(key("0000000002.artifact"))
        .unwrap()
        .unwrap()
        .bytes;
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let longer = [&sound[..], b"x"].concat();
    for (what, bytes) in [
        ("a flipped bit", &flipped[..]),
        ("another version", &other),
        ("a cut end", &sound[..sound.len() - 1]),
        ("nothing", b""),
        ("more behind it", &longer),
    ] {
        overwrite("0000000001.artifact", bytes);
        let error = store.get("ials", 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        let named = error.to_string();
        assert!(
            named.contains("s3://models/a/ials/0000000001.artifact"),
            "{named}"
        );
    }
    overwrite("0000000001.artifact", &sound);
    assert_eq!(store.get("ials", 1).unwrap(), b"weights of the first");

    overwrite("live.alias", &other);
    assert_eq!(
        store.alias("ials", LIVE).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    store.set_alias("ials", LIVE, 2).unwrap();
    assert_eq!(store.alias("ials", LIVE).unwrap(), Some(2));
}

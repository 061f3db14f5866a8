//! The artifacts of a folder on a simulated disk.

use super::*;
use nowcast_disk::SimFs;
use nowcast_types::ErrorKind;

fn store(fs: &SimFs) -> ArtifactStore {
    ArtifactStore::open(Arc::new(fs.clone()), Path::new("models"), 2).unwrap()
}

#[test]
fn a_version_survives_power_loss_and_never_changes() {
    let fs = SimFs::new(1);
    store(&fs).put("ials", 1, b"weights").unwrap();
    store(&fs).promote("ials", 1).unwrap();
    fs.crash();
    let store = store(&fs);
    assert_eq!(store.get("ials", 1).unwrap(), b"weights");
    assert_eq!(store.alias("ials", LIVE).unwrap(), Some(1));
    let again = store.put("ials", 1, b"other").unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
}

#[test]
fn promotion_remembers_what_was_live_and_pruning_spares_it() {
    let store = store(&SimFs::new(1));
    for version in 1..=5 {
        store.put("ials", version, &[version as u8]).unwrap();
        if version <= 2 {
            store.promote("ials", version).unwrap();
        }
    }
    let kept: Vec<u64> = store
        .list("ials")
        .unwrap()
        .iter()
        .map(|v| v.version)
        .collect();
    assert_eq!(kept, [1, 2, 4, 5]);
    assert_eq!(store.alias("ials", PREVIOUS).unwrap(), Some(1));
    assert_eq!(store.next_version("ials").unwrap(), 6);
    let missing = store.promote("ials", 3).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(store.alias("ials", LIVE).unwrap(), Some(2));
}

#[test]
fn every_flipped_bit_is_found() {
    let fs = SimFs::new(1);
    let store = store(&fs);
    store.put("m", 7, b"0123456789").unwrap();
    store.promote("m", 7).unwrap();
    for (path, len) in fs.files() {
        for bit in 0..len * 8 {
            fs.flip_bit(&path, bit).unwrap();
            let sound = store.get("m", 7).is_ok() && store.alias("m", LIVE).is_ok();
            assert!(!sound, "bit {bit} of {}", path.display());
            fs.flip_bit(&path, bit).unwrap();
        }
    }
    assert_eq!(store.get("m", 7).unwrap(), b"0123456789");
}

#[test]
fn a_damaged_alias_is_set_anew() {
    let fs = SimFs::new(1);
    let store = store(&fs);
    store.put("m", 1, b"one").unwrap();
    store.promote("m", 1).unwrap();
    let (path, _) = fs
        .files()
        .into_iter()
        .find(|(path, _)| path.ends_with("live.alias"))
        .unwrap();
    fs.flip_bit(&path, 77).unwrap();
    assert_eq!(
        store.alias("m", LIVE).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    store.set_alias("m", LIVE, 1).unwrap();
    assert_eq!(store.alias("m", LIVE).unwrap(), Some(1));
}

#[test]
fn a_folder_keeps_the_rules_of_every_place() {
    let folder = Folder::open(Arc::new(SimFs::new(1)), Path::new("models")).unwrap();
    let folder: Arc<dyn ArtifactPlace> = Arc::new(folder);
    conformance::check(&|| Arc::clone(&folder));
}

#[test]
fn names_cannot_leave_the_folder() {
    let store = store(&SimFs::new(1));
    for name in ["", "..", "a/b", "A", "ä"] {
        assert_eq!(
            store.put(name, 1, b"").unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}

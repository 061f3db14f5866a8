//! What every file system must do. One list of checks, run over the real and the simulated one.

use nowcast_disk::{Fs, OpenMode, SimFs, StdFs, read_all, write_atomic};
use nowcast_types::ErrorKind;
use std::path::Path;

type Check = fn(&dyn Fs, &Path);

const CHECKS: &[(&str, Check)] = &[
    ("what is written is read", write_then_read),
    ("a read at the end is short", short_read),
    ("allocation adds zeros and keeps content", allocate),
    ("a new file must be new", create_new),
    ("a rename replaces", rename_replaces),
    (
        "a removed file stays readable through its handle",
        removed_stays_readable,
    ),
    ("a folder lists its names in order", list_in_order),
    ("a lock excludes until it is dropped", lock_excludes),
    ("an atomic write replaces the whole file", atomic_write),
];

#[test]
fn the_simulated_file_system_conforms() {
    for (name, check) in CHECKS {
        println!("check: {name}");
        let fs = SimFs::new(1);
        fs.create_dir_all(Path::new("d")).unwrap();
        check(&fs, Path::new("d"));
    }
}

#[test]
fn the_real_file_system_conforms() {
    for (name, check) in CHECKS {
        println!("check: {name}");
        let dir = tempfile::tempdir().unwrap();
        check(&StdFs, dir.path());
    }
}

fn write_then_read(fs: &dyn Fs, dir: &Path) {
    let path = dir.join("a");
    let file = fs.open(&path, OpenMode::CreateNew).unwrap();
    file.write_at(b"hello", 3).unwrap();
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    assert_eq!(read_all(fs, &path).unwrap(), b"\0\0\0hello");
    let again = fs.open(&path, OpenMode::ReadWrite).unwrap();
    again.write_at(b"J", 3).unwrap();
    let mut bytes = [0; 5];
    file.read_exact_at(&mut bytes, 3).unwrap();
    assert_eq!(&bytes, b"Jello");
}

fn short_read(fs: &dyn Fs, dir: &Path) {
    let file = fs.open(&dir.join("a"), OpenMode::CreateNew).unwrap();
    assert!(file.is_empty().unwrap());
    file.write_at(b"abc", 0).unwrap();
    let mut bytes = [9; 8];
    assert_eq!(file.read_at(&mut bytes, 1).unwrap(), 2);
    assert_eq!(&bytes[..3], b"bc\x09");
    assert_eq!(file.read_at(&mut bytes, 100).unwrap(), 0);
    assert!(file.read_exact_at(&mut bytes, 0).is_err());
}

fn allocate(fs: &dyn Fs, dir: &Path) {
    let file = fs.open(&dir.join("a"), OpenMode::CreateNew).unwrap();
    file.write_at(b"abc", 0).unwrap();
    file.allocate(200_000).unwrap();
    file.allocate(10).unwrap();
    assert_eq!(file.len().unwrap(), 200_000);
    let bytes = read_all(fs, &dir.join("a")).unwrap();
    assert_eq!(&bytes[..3], b"abc");
    assert!(bytes[3..].iter().all(|byte| *byte == 0));
}

fn create_new(fs: &dyn Fs, dir: &Path) {
    let path = dir.join("a");
    let error = fs.open(&path, OpenMode::Read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    fs.open(&path, OpenMode::CreateNew).unwrap();
    assert!(fs.open(&path, OpenMode::CreateNew).is_err());
    assert!(
        fs.open(&dir.join("no").join("a"), OpenMode::CreateNew)
            .is_err()
    );
}

fn rename_replaces(fs: &dyn Fs, dir: &Path) {
    write_atomic(fs, &dir.join("a"), b"new").unwrap();
    write_atomic(fs, &dir.join("b"), b"old").unwrap();
    fs.rename(&dir.join("a"), &dir.join("b")).unwrap();
    assert_eq!(read_all(fs, &dir.join("b")).unwrap(), b"new");
    assert!(read_all(fs, &dir.join("a")).unwrap_err().is_not_found());
    assert!(fs.rename(&dir.join("a"), &dir.join("b")).is_err());
}

fn removed_stays_readable(fs: &dyn Fs, dir: &Path) {
    let path = dir.join("a");
    write_atomic(fs, &path, b"abc").unwrap();
    let file = fs.open(&path, OpenMode::Read).unwrap();
    fs.remove(&path).unwrap();
    let mut bytes = [0; 3];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"abc");
    assert!(fs.remove(&path).unwrap_err().is_not_found());
}

fn list_in_order(fs: &dyn Fs, dir: &Path) {
    fs.create_dir_all(&dir.join("c").join("inner")).unwrap();
    write_atomic(fs, &dir.join("b"), b"12").unwrap();
    write_atomic(fs, &dir.join("a"), b"").unwrap();
    let entries = fs.list(dir).unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|e| (&*e.name, e.len, e.is_dir))
        .collect();
    assert_eq!(seen, [("a", 0, false), ("b", 2, false), ("c", 0, true)]);
    assert!(fs.list(&dir.join("nowhere")).unwrap_err().is_not_found());
}

fn lock_excludes(fs: &dyn Fs, dir: &Path) {
    let path = dir.join("lock");
    let lock = fs.lock_exclusive(&path).unwrap();
    assert_eq!(
        fs.lock_exclusive(&path).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    drop(lock);
    fs.lock_exclusive(&path).unwrap();
}

fn atomic_write(fs: &dyn Fs, dir: &Path) {
    let path = dir.join("a");
    write_atomic(fs, &path, b"a long first content").unwrap();
    write_atomic(fs, &path, b"short").unwrap();
    assert_eq!(read_all(fs, &path).unwrap(), b"short");
    assert_eq!(fs.list(dir).unwrap().len(), 1);
}

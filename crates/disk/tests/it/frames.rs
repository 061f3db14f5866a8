//! Frames: their bytes, their damage, and how a file of them ends.

use nowcast_disk::frame::{
    ALIGNMENT, FrameFault, HEADER_LEN, frame_len, parse_frame, parse_header, seal_frame,
};
use nowcast_disk::{
    File, FrameHeader, FrameReader, Fs, OpenMode, Scan, ScanEnd, SimFs, write_frame,
};
use nowcast_types::Timestamp;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

fn header(epoch: u64, base_offset: u64) -> FrameHeader {
    FrameHeader {
        kind: 3,
        epoch,
        base_offset,
        count: 2,
        max_timestamp: Timestamp(-1),
        payload_len: 0,
    }
}

fn frame(epoch: u64, base_offset: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &header(epoch, base_offset), payload);
    bytes
}

#[test]
fn a_frame_has_the_bytes_of_the_first_release() {
    let bytes = frame(0x0102_0304_0506_0708, 9, b"payload");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "4e434631010300000700000002000000080706050403020109000000\
         00000000ffffffffffffffff35e411233d68fa537061796c6f616400"
    );
    assert_eq!(bytes.len(), frame_len(7));
    let (header, payload) = parse_frame(&bytes).unwrap();
    assert_eq!(
        (header.base_offset, header.count, payload),
        (9, 2, &b"payload"[..])
    );
}

#[test]
fn every_flipped_bit_is_detected() {
    let bytes = frame(1, 2, b"thirteen long");
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(parse_frame(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn sealing_in_place_is_writing() {
    for len in [0, 1, 7, 8, 9, 100] {
        let payload = vec![5; len];
        let mut buffer = vec![0xee; HEADER_LEN];
        buffer.extend_from_slice(&payload);
        seal_frame(&mut buffer, &header(4, 5));
        assert_eq!(buffer, frame(4, 5, &payload));
        assert_eq!(buffer.len() % ALIGNMENT, 0);
    }
}

#[test]
fn what_is_missing_is_named() {
    let bytes = frame(1, 2, b"abc");
    assert_eq!(
        parse_header(&bytes[..47]),
        Err(FrameFault::Short(HEADER_LEN))
    );
    assert_eq!(
        parse_frame(&bytes[..50]),
        Err(FrameFault::Short(bytes.len()))
    );
    assert_eq!(parse_header(&[0; 48]), Err(FrameFault::NoMagic));
}

/// A file with these bytes, and how the reader sees it: base offsets and the end.
fn scan(bytes: &[u8], epoch: Option<u64>) -> (Vec<u64>, ScanEnd, u64) {
    let fs = SimFs::new(0);
    fs.create_dir_all(Path::new("d")).unwrap();
    let file: Arc<dyn File> = fs.open(Path::new("d/a"), OpenMode::CreateNew).unwrap();
    file.write_at(bytes, 0).unwrap();
    let mut reader = FrameReader::new(&*file, 0, epoch);
    let mut found = Vec::new();
    loop {
        match reader.next_frame().unwrap() {
            Scan::Frame { header, .. } => found.push(header.base_offset),
            Scan::End(end) => return (found, end, reader.position()),
        }
    }
}

fn three() -> Vec<u8> {
    (0..3)
        .flat_map(|n| frame(7, n, &[n as u8 + 1; 600]))
        .collect()
}

#[test]
fn a_file_may_end_with_its_last_frame_or_with_zeros() {
    let bytes = three();
    let len = bytes.len() as u64;
    assert_eq!(scan(&bytes, Some(7)), (vec![0, 1, 2], ScanEnd::Clean, len));
    let zeros = [&bytes[..], &[0; 5000]].concat();
    assert_eq!(scan(&zeros, None), (vec![0, 1, 2], ScanEnd::Clean, len));
    assert_eq!(scan(&[], None), (vec![], ScanEnd::Clean, 0));
}

#[test]
fn frames_of_a_former_life_are_not_seen() {
    let bytes = [three(), frame(6, 3, &[9; 900]), frame(6, 4, &[9; 900])].concat();
    let (found, end, _) = scan(&bytes, Some(7));
    assert_eq!((found, end), (vec![0, 1, 2], ScanEnd::Clean));
    // Cut so that the former life is entered in the middle of one of its frames.
    let bytes = [
        three(),
        frame(6, 3, &[9; 900])[160..].to_vec(),
        frame(6, 4, &[9; 900]),
    ]
    .concat();
    let (found, end, _) = scan(&bytes, Some(7));
    assert_eq!((found, end), (vec![0, 1, 2], ScanEnd::Foreign));
}

#[test]
fn a_frame_cut_anywhere_is_torn() {
    let bytes = three();
    let last = bytes.len() - frame_len(600);
    for cut in last + HEADER_LEN..bytes.len() {
        let (found, end, position) = scan(&bytes[..cut], Some(7));
        assert_eq!((found, position), (vec![0, 1], last as u64));
        assert!(matches!(end, ScanEnd::Torn(_)), "{cut}: {end:?}");
        let padded = [&bytes[..cut], &vec![0; bytes.len() - cut + 4000]].concat();
        let (found, end, _) = scan(&padded, Some(7));
        // The padding of the last frame is zeros anyway.
        assert!(
            found.len() == 3 || matches!(end, ScanEnd::Torn(_)),
            "{cut}: {end:?}"
        );
    }
}

#[test]
fn damage_before_a_valid_frame_is_corruption() {
    let bytes = three();
    let second = frame_len(600);
    for at in [second, second + 45, second + HEADER_LEN + 300] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        let (found, end, position) = scan(&damaged, Some(7));
        assert_eq!((found, position), (vec![0], second as u64));
        let ScanEnd::Corrupt { next_valid, .. } = end else {
            panic!("{at}: {end:?}");
        };
        assert_eq!(next_valid, 2 * second as u64);
    }
    let mut zeroed = bytes;
    zeroed[second..second + 512].fill(0);
    assert!(matches!(scan(&zeroed, Some(7)).1, ScanEnd::Corrupt { .. }));
}

#[test]
fn frames_longer_than_a_read_are_found() {
    let bytes: Vec<u8> = (0..3)
        .flat_map(|n| frame(7, n, &vec![1; 300_000]))
        .collect();
    assert_eq!(scan(&bytes, Some(7)).0, [0, 1, 2]);
    let mut damaged = bytes;
    damaged[frame_len(300_000) + 1000] ^= 1;
    let (found, end, _) = scan(&damaged, Some(7));
    assert_eq!(found, [0]);
    assert!(matches!(end, ScanEnd::Corrupt { .. }), "{end:?}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_frame(&bytes);
        let (found, ..) = scan(&bytes, None);
        prop_assert!(found.is_empty());
    }
}

//! The artifact format: fixed bytes, and no damage goes unseen.

use crate::planted::clusters;
use nowcast_models::{InteractionsBuilder, ModelError, Params, decode, registry, trainer};

fn small_artifact() -> Vec<u8> {
    let mut builder = InteractionsBuilder::new(["a", "bé"].into_iter().collect());
    builder.push(0, 0, 1.0, 0);
    builder.push(0, 1, 1.0, 0);
    builder.push(1, 1, 1.0, 0);
    let popular = trainer("popular").unwrap();
    let model = popular
        .fit(&builder.build(), &Params::new(), 0, &())
        .unwrap();
    let mut bytes = Vec::new();
    model.encode(&mut bytes);
    bytes
}

#[test]
fn the_format_is_the_golden_one() {
    let hex: String = small_artifact()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let expected = concat!(
        "4e434d4f44454c31", // NCMODEL1
        "0100",             // format 1
        "2b00000000000000", // payload length
        "3a9e9265",         // CRC32C of the payload
        "6704b649",         // CRC32C of the header
        "07000000706f70756c6172",
        "02000000",
        "0100000061",
        "0300000062c3a9",
        "0200000000000000",
        "0000803f00000040",
    );
    assert_eq!(hex, expected);
    let golden: Vec<u8> = (0..expected.len() / 2)
        .map(|i| u8::from_str_radix(&expected[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    let model = decode(&golden).unwrap();
    assert_eq!(model.items().iter().collect::<Vec<_>>(), ["a", "bé"]);
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bytes = small_artifact();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = decode(&damaged)
            .err()
            .unwrap_or_else(|| panic!("bit {bit}"));
        assert_eq!(error.kind(), nowcast_types::ErrorKind::Corrupt);
    }
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "cut to {len}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(decode(&longer).is_err());
}

/// A payload that passes the checksum but lies about its parts must not panic either.
#[test]
fn inconsistent_payloads_with_right_checksums_are_refused() {
    for trainer in registry() {
        let model = trainer.fit(&clusters(), &Params::new(), 1, &()).unwrap();
        let mut bytes = Vec::new();
        model.encode(&mut bytes);
        let mut refused = 0;
        for at in
            (26..bytes.len().min(26 + 4000)).chain(bytes.len().saturating_sub(200)..bytes.len())
        {
            let mut forged = bytes.clone();
            forged[at] ^= 0xff;
            seal(&mut forged);
            refused += usize::from(decode(&forged).is_err());
        }
        assert!(refused > 0, "{}", trainer.name());
    }
}

fn seal(bytes: &mut [u8]) {
    let payload = crc32c::crc32c(&bytes[26..]);
    bytes[18..22].copy_from_slice(&payload.to_le_bytes());
    let header = crc32c::crc32c(&bytes[..22]);
    bytes[22..26].copy_from_slice(&header.to_le_bytes());
}

#[test]
fn an_artifact_of_a_later_format_says_so() {
    let mut bytes = small_artifact();
    bytes[8] = 9;
    seal(&mut bytes);
    let error = decode(&bytes).err().unwrap();
    let expected = ModelError::UnsupportedFormat {
        found: 9,
        supported: 1,
    };
    assert_eq!(error, expected);
}

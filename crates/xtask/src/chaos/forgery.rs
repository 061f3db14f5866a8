//! Forged bytes for planted bugs: checkpoints that leave users out, damage under a new checksum.

use anyhow::{Result, anyhow, ensure};
use nowcast_disk::frame::{self, FrameHeader, HEADER_LEN};
use nowcast_features::{begin_blob, for_each_section, write_section};

/// Length of a checkpoint section's key that names a user.
const USER_KEY_LEN: usize = 16;

/// A checkpoint blob without the sections of its first `users` users.
pub(super) fn without_users(blob: &[u8], users: usize) -> Result<Vec<u8>> {
    let mut forged = Vec::new();
    begin_blob(&mut forged);
    let mut left_out = 0;
    for_each_section(blob, |section| {
        if section.key.len() == USER_KEY_LEN && left_out < users {
            left_out += 1;
        } else {
            write_section(&mut forged, section);
        }
    })
    .map_err(|error| anyhow!(error))?;
    Ok(forged)
}

/// A checkpoint blob without its sections of one kind.
pub(super) fn without_kind(blob: &[u8], kind: u8) -> Result<Vec<u8>> {
    let mut forged = Vec::new();
    begin_blob(&mut forged);
    for_each_section(blob, |section| {
        if section.kind != kind {
            write_section(&mut forged, section);
        }
    })
    .map_err(|error| anyhow!(error))?;
    Ok(forged)
}

/// Flips a bit inside a frame's payload and computes the checksums anew: what the reader of an
/// unchecked format would be served.
pub(super) fn flip_and_reseal(frame_bytes: &[u8], bit: usize) -> Result<Vec<u8>> {
    let (header, payload) =
        frame::parse_frame(frame_bytes).map_err(|fault| anyhow!("not a frame: {fault}"))?;
    ensure!(!payload.is_empty(), "the frame has no payload");
    let mut flipped = payload.to_vec();
    let at = bit % (payload.len() * 8);
    flipped[at / 8] ^= 1 << (at % 8);
    let mut sealed = Vec::with_capacity(HEADER_LEN + flipped.len());
    frame::write_frame(&mut sealed, &FrameHeader { ..header }, &flipped);
    Ok(sealed)
}

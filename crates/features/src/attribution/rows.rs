//! The section of a pending slate: values in the order of [`PendingSlate`]'s fields.

use super::joiner::PendingSlate;
use crate::checkpoint::codec::{Reader, Writer};
use nowcast_types::{SlateItems, Timestamp, UserKey};

impl PendingSlate {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.bytes.extend_from_slice(&self.user.0);
        out.i64(self.at.0);
        out.u8(u8::from(self.is_closed));
        out.text(&self.request_id);
        out.text(&self.slot);
        out.u32(self.facts_bytes as u32);
        for bytes in [&self.situation, &self.items, &self.met] {
            out.u32(bytes.len() as u32);
            out.bytes.extend_from_slice(bytes);
        }
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes };
        let user = UserKey(reader.take(16)?.try_into().ok()?);
        let at = Timestamp(reader.i64()?);
        let is_closed = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (request_id, slot) = (reader.text()?.into(), reader.text()?.into());
        let facts_bytes = reader.u32()? as usize;
        let mut run = || -> Option<Box<[u8]>> {
            let len = reader.u32()? as usize;
            Some(reader.take(len)?.into())
        };
        let (situation, items, met) = (run()?, run()?, run()?);
        reader.end()?;
        let count = SlateItems::new(&items, facts_bytes)?.iter().len();
        (count == met.len()).then_some(Self {
            user,
            at,
            request_id,
            slot,
            situation,
            items,
            facts_bytes,
            met,
            is_closed,
        })
    }

    /// One line of canonical text.
    pub(crate) fn dump(&self) -> String {
        let met: Vec<String> = self.met.iter().map(|bits| format!("{bits:02x}")).collect();
        format!(
            "user {} at {} request {:?} closed {} met {}",
            self.user,
            self.at,
            self.request_id,
            self.is_closed,
            met.join(",")
        )
    }
}

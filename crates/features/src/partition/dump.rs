//! The state as canonical text, for comparison with an oracle or another run: one line per fact,
//! sorted by user key, item id and name, strings instead of local numbers.
//!
//! Numbers that only this implementation has (slots, laps, generations) are left out except for a
//! digest of the event ids; [`PartitionState::state_hash`] covers them.

use super::PartitionState;
use crate::config::EntityKind;
use crate::groups::Groups;
use crate::ids::{LocalCategory, LocalItem, LocalSegment};
use crate::items::Item;
use crate::tiles;
use crate::users::User;
use nowcast_types::Timestamp;
use std::io::{Result, Write};

impl PartitionState {
    /// Writes the state as canonical text: sorted by key, strings instead of local numbers.
    /// Decaying values and windows are as of the watermark.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn dump(&self, out: &mut impl Write) -> Result<()> {
        writeln!(
            out,
            "position {} watermark {}",
            self.position(),
            self.watermark
        )?;
        for (name, count) in self.counters().named() {
            writeln!(out, "counter {name} {count}")?;
        }
        let mut ids: Vec<u64> = Vec::with_capacity(self.dedup.len());
        ids.extend(
            self.dedup
                .generations()
                .into_iter()
                .flat_map(|(_, ids)| ids),
        );
        let digest = ids
            .iter()
            .fold(0_u64, |sum, id| sum.wrapping_add(id.rotate_left(17)));
        writeln!(out, "dedup ids {} digest {digest:016x}", ids.len())?;
        let mut users: Vec<&User> = self.users.iter().map(|(_, user)| user).collect();
        users.sort_unstable_by_key(|user| user.key);
        users
            .into_iter()
            .try_for_each(|user| self.dump_user(out, user))?;
        let mut items: Vec<(u32, &Item)> = (0..).zip(self.items.iter()).collect();
        items.sort_unstable_by(|a, b| a.1.id.cmp(&b.1.id));
        for (number, item) in items {
            self.dump_item(out, LocalItem(number), item)?;
        }
        self.dump_groups(out, "category", EntityKind::Category, &self.categories)?;
        self.dump_groups(out, "segment", EntityKind::Segment, &self.segments)?;
        self.dump_groups(
            out,
            "item_segment",
            EntityKind::ItemSegment,
            &self.item_segments,
        )?;
        self.dump_groups(out, "global", EntityKind::Global, &self.global)?;
        if self.plan.attribution.is_some() {
            writeln!(out, "labelled {:?}", self.joiner.labelled)?;
        }
        for (offset, slate) in self.joiner.slates() {
            writeln!(out, "slate {offset} {}", slate.dump())?;
        }
        Ok(())
    }

    fn dump_user(&self, out: &mut impl Write, user: &User) -> Result<()> {
        let key = user.key;
        let segment = user.segment().map_or("-", |segment| self.segment(segment));
        let attributes = user.attributes().unwrap_or("-");
        writeln!(
            out,
            "user {key} first {} last {}",
            user.first_s, user.last_s
        )?;
        writeln!(
            out,
            "user {key} segment {segment:?} attributes {attributes}"
        )?;
        let session = &user.session;
        writeln!(
            out,
            "user {key} session {} start {} last {} key {:?} depth {} engaged_ms {} strength {:?}",
            session.ordinal,
            session.start,
            session.last,
            session.key().map(|key| key.0),
            session.depth,
            session.engaged_ms,
            session.strength,
        )?;
        for entry in user.history.entries(self.plan.history_len) {
            let (item, code) = (self.item_id(entry.item), entry.event_type.0);
            let (time_s, strength) = (entry.time_s, entry.strength());
            writeln!(
                out,
                "user {key} history {time_s} {code} {item:?} {strength:?}"
            )?;
        }
        if let Some(user_ref) = self.user(&key) {
            let mut affinity = user_ref.affinity(self.watermark);
            affinity.sort_by(|a, b| self.category(a.0).cmp(self.category(b.0)));
            for (category, weight) in affinity {
                writeln!(
                    out,
                    "user {key} affinity {:?} {weight:?}",
                    self.category(category)
                )?;
            }
        }
        self.dump_views(out, &format!("user {key}"), EntityKind::User, &user.words)
    }

    fn dump_item(&self, out: &mut impl Write, number: LocalItem, item: &Item) -> Result<()> {
        let as_of = self.watermark;
        let name = format!("item {:?}", item.id);
        let popularity = self.popularity(number, as_of);
        writeln!(
            out,
            "{name} trending {:?} popular {:?}",
            popularity.trending, popularity.popular
        )?;
        let mut segments: Vec<_> = self
            .segment_popularity(number, as_of)
            .map(|(segment, weight)| (self.segment(segment), weight))
            .collect();
        segments.sort_by(|a, b| a.0.cmp(b.0));
        for (segment, weight) in segments {
            writeln!(out, "{name} segment {segment:?} {weight:?}")?;
        }
        let mut neighbours: Vec<_> = self
            .neighbours(number, as_of)
            .map(|(neighbour, weight)| (self.item_id(neighbour), weight))
            .collect();
        neighbours.sort_by(|a, b| a.0.cmp(b.0));
        for (neighbour, weight) in neighbours {
            writeln!(out, "{name} neighbour {neighbour:?} {weight:?}")?;
        }
        self.dump_views(out, &name, EntityKind::Item, &item.words)
    }

    fn dump_groups(
        &self,
        out: &mut impl Write,
        label: &str,
        kind: EntityKind,
        groups: &Groups,
    ) -> Result<()> {
        let mut named = Vec::with_capacity(groups.len() as usize);
        for (number, row) in (0..).zip(groups.iter()) {
            let name = match kind {
                EntityKind::ItemSegment => {
                    let item = self.item_id(LocalItem(row.pair[0]));
                    format!("{item:?} {:?}", self.segment(LocalSegment(row.pair[1])))
                }
                _ => format!("{:?}", row.name),
            };
            named.push((format!("{label} {name}"), number, row));
        }
        named.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, number, row) in named {
            if kind == EntityKind::Category {
                let popularity = self.category_popularity(LocalCategory(number), self.watermark);
                let (trending, popular) = (popularity.trending, popularity.popular);
                writeln!(out, "{name} trending {trending:?} popular {popular:?}")?;
            }
            self.dump_views(out, &name, kind, &row.words)?;
        }
        Ok(())
    }

    fn dump_views(
        &self,
        out: &mut impl Write,
        owner: &str,
        kind: EntityKind,
        words: &[u32],
    ) -> Result<()> {
        let as_of_s = self.watermark.max(Timestamp(0)).seconds_u32();
        let blocks = self.plan.blocks(kind);
        for (_, view) in self.plan.views().filter(|(_, view)| view.entity() == kind) {
            let Some(merged) = tiles::window(words, blocks, view, as_of_s) else {
                continue;
            };
            let value = self.dump_value(view.operand(), view.value(&merged, as_of_s));
            writeln!(out, "{owner} view {} {value}", view.name())?;
        }
        Ok(())
    }

    fn dump_value(
        &self,
        operand: crate::config::Operand,
        value: crate::aggregations::AggregateValue,
    ) -> String {
        use crate::aggregations::AggregateValue;
        use crate::config::Operand;
        match value {
            AggregateValue::Missing => "-".to_owned(),
            AggregateValue::Number(number) => format!("{number:?}"),
            AggregateValue::Ranked(keys) => {
                let name = |key: u32| match operand {
                    Operand::Item => self.item_id(LocalItem(key)).to_owned(),
                    Operand::Category => self.category(LocalCategory(key)).to_owned(),
                    _ => key.to_string(),
                };
                let named: Vec<_> = keys.into_iter().map(|(key, n)| (name(key), n)).collect();
                format!("{named:?}")
            }
        }
    }
}

//! The fold of the catalogue's stream into the item table.

use crate::error::StreamError;
use crate::fold::{Fold, RestoreError};
use nowcast_store::sections::{self, SectionWriter};
use nowcast_store::{Catalog, Saved};
use nowcast_types::{Offset, Record};
use std::sync::Arc;

/// Kind of a section that holds an item.
const ITEM: u8 = 1;
/// Bytes at which a full checkpoint starts a new blob.
const BLOB_BYTES: usize = 4 << 20;

/// Folds item changes. The table is shared; the position and what is checkpointed are here.
pub(crate) struct CatalogFold {
    catalog: Arc<Catalog>,
    position: Offset,
    encoded: u64,
}

impl CatalogFold {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            position: 0,
            encoded: 0,
        }
    }

    /// The items changed since the counter stood at `since`, in blobs of about `blob_bytes`.
    fn encode(&mut self, since: u64, blob_bytes: usize) -> Vec<Vec<u8>> {
        let mut blobs = Vec::new();
        let mut blob = SectionWriter::new();
        self.encoded = self.catalog.encode_changes(since, |item_id, value| {
            blob.push(ITEM, item_id, Some(value));
            if blob.len() >= blob_bytes {
                blobs.push(std::mem::take(&mut blob).into_bytes());
            }
        });
        blobs.push(blob.into_bytes());
        blobs
    }
}

impl Fold for CatalogFold {
    fn restore(&mut self, saved: Saved) -> Result<(), RestoreError> {
        self.reset();
        for blob in &saved.blobs {
            let mut outcome = Ok(());
            let parsed = sections::for_each(blob, |_, item_id, value| {
                if let (Some(value), Ok(())) = (value, &outcome) {
                    outcome = self.catalog.restore_entry(item_id, value);
                }
            });
            parsed
                .and(outcome)
                .map_err(|error| RestoreError::Unfit(error.to_string()))?;
        }
        self.catalog.publish();
        self.position = saved.position;
        self.encoded = self.catalog.changes();
        Ok(())
    }

    fn reset(&mut self) {
        self.catalog.clear();
        self.position = 0;
        self.encoded = 0;
    }

    fn skip_to(&mut self, offset: Offset) {
        self.position = offset;
    }

    fn position(&self) -> Offset {
        self.position
    }

    fn apply(&mut self, records: &[(Offset, Record<'_>)]) -> Result<(), StreamError> {
        for (offset, record) in records {
            match record {
                Record::Item(change) => {
                    if let Err(error) = self.catalog.apply_unpublished(change) {
                        // The edge validated it, so this is a newer or older program's item.
                        metrics::counter!("nowcast_catalog_refused_total").increment(1);
                        tracing::error!(offset, %error, "an item of the log is not usable");
                    }
                }
                _ => tracing::error!(offset, "a record of another stream in the catalogue's log"),
            }
            self.position = offset + 1;
        }
        self.catalog.publish();
        Ok(())
    }

    fn encode_delta(&mut self) -> Vec<u8> {
        let mut blobs = self.encode(self.encoded, usize::MAX);
        blobs.pop().unwrap_or_default()
    }

    fn encode_full(&mut self) -> Vec<Vec<u8>> {
        self.encode(0, BLOB_BYTES)
    }

    fn settle(&mut self) -> Result<(), StreamError> {
        Ok(())
    }
}

//! What was learnt, on disk: one frame, replaced as a whole, so that weights and position are of
//! one moment or the former one stays.

use crate::error::EngineError;
use nowcast_disk::frame::{FrameHeader, parse_frame, write_frame};
use nowcast_disk::{DiskError, Fs, read_all, write_atomic};
use nowcast_models::online::{Objective, OnlineConfig};
use nowcast_recommend::ranking::OnlineTraining;
use nowcast_types::{Offset, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folder inside the data folder, and the file in it.
const FOLDER: &str = "online";
const FILE: &str = "training.ncf";
/// Kind of the only frame of the file.
const KIND_TRAINING: u8 = 7;
/// Layout of its payload.
const FORMAT_VERSION: u64 = 1;

/// The file of an engine's learner.
pub struct TrainingFile {
    fs: Arc<dyn Fs>,
    path: PathBuf,
}

/// What a file holds: sound bytes and their position.
#[derive(Debug, Clone)]
pub struct StoredTraining {
    position: Offset,
    payload: Vec<u8>,
}

/// Reads what the learner of a data folder has stored; `None` if that is nothing, or damaged.
///
/// # Errors
/// The disk's.
pub fn load(fs: Arc<dyn Fs>, data_dir: &Path) -> Result<Option<StoredTraining>, EngineError> {
    TrainingFile::in_folder(fs, data_dir)?.read()
}

impl TrainingFile {
    /// The file in a data folder; the folder for it is created if absent.
    ///
    /// # Errors
    /// The disk's.
    pub fn in_folder(fs: Arc<dyn Fs>, data_dir: &Path) -> Result<Self, EngineError> {
        let folder = data_dir.join(FOLDER);
        fs.create_dir_all(&folder)?;
        fs.sync_dir(data_dir)?;
        Ok(Self {
            path: folder.join(FILE),
            fs,
        })
    }

    /// What it holds. Damage is reported and counts as nothing: the log has what it was learnt from.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(&self) -> Result<Option<StoredTraining>, EngineError> {
        let bytes = match read_all(&*self.fs, &self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = |detail: String| {
            let path = self.path.display();
            tracing::error!(%path, detail, "what was learnt is damaged: learning again");
        };
        match parse_frame(&bytes) {
            Ok((header, payload))
                if header.kind == KIND_TRAINING && header.epoch == FORMAT_VERSION =>
            {
                Ok(Some(StoredTraining {
                    position: header.base_offset,
                    payload: payload.to_vec(),
                }))
            }
            Ok((header, _)) => {
                damaged(format!("kind {} version {}", header.kind, header.epoch));
                Ok(None)
            }
            Err(fault) => {
                damaged(fault.to_string());
                Ok(None)
            }
        }
    }

    /// Replaces what it holds.
    ///
    /// # Errors
    /// The disk's; then it holds what it did.
    pub fn write(&self, training: &OnlineTraining) -> Result<(), DiskError> {
        let header = FrameHeader {
            kind: KIND_TRAINING,
            epoch: FORMAT_VERSION,
            base_offset: training.position(),
            count: 1,
            max_timestamp: Timestamp(0),
            payload_len: 0,
        };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &header, &training.encode());
        write_atomic(&*self.fs, &self.path, &bytes)
    }
}

impl StoredTraining {
    /// The next example to be learnt.
    #[must_use]
    pub const fn position(&self) -> Offset {
        self.position
    }

    /// The training it holds; `None`, with a word in the log, if it was made under another
    /// configuration or by another release.
    #[must_use]
    pub fn training(
        &self,
        config: OnlineConfig,
        objectives: &[Objective],
        correction_importance: f32,
    ) -> Option<OnlineTraining> {
        OnlineTraining::decode(
            &self.payload,
            self.position,
            config,
            objectives.to_vec(),
            correction_importance,
        )
        .inspect_err(
            |error| tracing::warn!(%error, "what was learnt is not usable: learning again"),
        )
        .ok()
    }
}

//! Files behind one small trait, checksummed frames, failpoints.
//!
//! Everything that Nowcast persists goes through [`Fs`] and is laid out in [`frame`]s. That makes
//! three things possible: tests lose, tear and fail writes ([`SimFs`]), a process can be aborted
//! at its n-th write ([`CrashFs`], [`failpoint`]), and damage in any file is found the same way.
//!
//! # It is not
//! A virtual file system: there are no handles to directories, no permissions, no mmap (a mapped
//! file turns an IO error into a signal), no asynchronous IO (a log needs few, ordered writes).
//!
//! ```
//! use nowcast_disk::{Fs, OpenMode, SimFs};
//! # fn main() -> Result<(), nowcast_disk::DiskError> {
//! let fs = SimFs::new(7);
//! fs.create_dir_all("data".as_ref())?;
//! let file = fs.open("data/a".as_ref(), OpenMode::CreateNew)?;
//! file.write_at(b"kept", 0)?;
//! file.sync_data()?;
//! fs.sync_dir("data".as_ref())?;
//! file.write_at(b"gone or kept", 512)?;
//! fs.crash();
//! let file = fs.open("data/a".as_ref(), OpenMode::Read)?;
//! let mut bytes = [0; 4];
//! file.read_exact_at(&mut bytes, 0)?;
//! assert_eq!(&bytes, b"kept");
//! # Ok(())
//! # }
//! ```

pub mod crash_fs;
pub mod error;
pub mod failpoint;
pub mod frame;
pub mod frame_reader;
pub mod fs;
pub mod pace;
pub mod sim_fs;
pub mod std_fs;

pub use crash_fs::CrashFs;
pub use error::DiskError;
pub use frame::{FrameHeader, write_frame};
pub use frame_reader::{FrameReader, Scan, ScanEnd};
pub use fs::{DirEntry, File, FileLock, Fs, OpenMode, read_all, write_atomic};
pub use pace::Pacer;
pub use sim_fs::{Fault, SimFs};
pub use std_fs::StdFs;

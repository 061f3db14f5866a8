//! Opens a file for reading and undoes its compression, which the extension names.

use super::InputError;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// 1 MiB: large enough that read calls vanish beside decompression.
const BUFFER_BYTES: usize = 1 << 20;

/// Opens `path`, decompressing `.gz` and `.zst`.
///
/// # Errors
/// [`InputError::Io`] if the file cannot be opened or is not what its extension says.
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, InputError> {
    let fail = |source| InputError::Io {
        path: path.display().to_string(),
        source,
    };
    let file = File::open(path).map_err(fail)?;
    let reader: Box<dyn Read + Send> = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::Decoder::new(file).map_err(fail)?),
        _ => Box::new(file),
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, reader)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(path: &Path) -> String {
        let mut text = String::new();
        open(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn compression_follows_the_extension() {
        let dir = tempfile::tempdir().unwrap();
        let zst = dir.path().join("a.zst");
        std::fs::write(&zst, zstd::encode_all(&b"hello"[..], 1).unwrap()).unwrap();
        let gz = dir.path().join("a.gz");
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&gz).unwrap(), flate2::Compression::fast());
        encoder.write_all(b"hello").unwrap();
        encoder.finish().unwrap();
        assert_eq!(
            (read(&zst).as_str(), read(&gz).as_str()),
            ("hello", "hello")
        );
    }

    #[test]
    fn a_missing_file_is_named_in_the_error() {
        let error = open(Path::new("/nowhere/x.csv")).err().unwrap().to_string();
        assert!(error.contains("/nowhere/x.csv"), "{error}");
    }
}

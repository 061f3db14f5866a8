//! Request bodies: read within a time, unpacked within a size.
//!
//! The whole body is read first (bounded), then unpacked at once into a bounded buffer. A bomb
//! therefore costs at most the limit, whatever it claims to hold.

use crate::error::ApiError;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::io::Read;
use std::time::Duration;

/// Largest window a zstd frame may ask for: 2^23 bytes, the default maximum of RFC 8878.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body may be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// Reads the body of a request and unpacks it.
///
/// # Errors
/// 408 if it takes longer than `timeout`, 413 if it is larger than `bytes_max` packed or
/// unpacked, 415 for an unknown packing, 400 for a damaged one.
pub async fn read_body(
    headers: &HeaderMap,
    body: Body,
    bytes_max: u64,
    timeout: Duration,
) -> Result<Bytes, ApiError> {
    let packing = packing(headers)?;
    let bytes_max_usize = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let read = tokio::time::timeout(timeout, Limited::new(body, bytes_max_usize).collect());
    let packed = match read.await {
        Err(_) => {
            return Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "the body took too long to arrive",
            ));
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large(bytes_max)),
        Ok(Err(error)) => {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "malformed",
                format!("the body could not be read: {error}"),
            ));
        }
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    match packing {
        Packing::Plain => Ok(packed),
        Packing::Gzip => unpack(flate2::read::MultiGzDecoder::new(&packed[..]), bytes_max),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&packed[..])
                .map_err(|error| damaged(&error))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(|error| damaged(&error))?;
            unpack(decoder, bytes_max)
        }
    }
}

fn packing(headers: &HeaderMap) -> Result<Packing, ApiError> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(Packing::Plain);
    };
    match value.to_str().unwrap_or_default().trim() {
        "" | "identity" => Ok(Packing::Plain),
        "gzip" | "x-gzip" => Ok(Packing::Gzip),
        "zstd" => Ok(Packing::Zstd),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Content-Encoding must be identity, gzip or zstd",
        )),
    }
}

fn unpack(reader: impl Read, bytes_max: u64) -> Result<Bytes, ApiError> {
    let mut unpacked = Vec::new();
    reader
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(|error| damaged(&error))?;
    if unpacked.len() as u64 > bytes_max {
        return Err(too_large(bytes_max));
    }
    Ok(Bytes::from(unpacked))
}

fn too_large(bytes_max: u64) -> ApiError {
    ApiError::too_large(&format!("at most {bytes_max} bytes after unpacking"))
}

fn damaged(error: &std::io::Error) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "malformed",
        format!("the body is not what its Content-Encoding says: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    async fn read(encoding: &str, body: Vec<u8>, bytes_max: u64) -> Result<Bytes, StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        read_body(
            &headers,
            Body::from(body),
            bytes_max,
            Duration::from_secs(5),
        )
        .await
        .map_err(|error| error.status())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[tokio::test]
    async fn packed_bodies_are_unpacked() {
        let zstd = zstd::encode_all(&b"hello"[..], 3).unwrap();
        assert_eq!(read("zstd", zstd, 100).await.unwrap(), "hello");
        assert_eq!(read("gzip", gzip(b"hello"), 100).await.unwrap(), "hello");
        assert_eq!(
            read("identity", b"hello".to_vec(), 5).await.unwrap(),
            "hello"
        );
    }

    #[tokio::test]
    async fn a_bomb_is_refused_at_the_limit() {
        let zeros = vec![0_u8; 10_000_000];
        let bomb = gzip(&zeros);
        assert!(bomb.len() < 20_000);
        let too_large = Err(StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read("gzip", bomb, 100_000).await, too_large);
        let bomb = zstd::encode_all(&zeros[..], 19).unwrap();
        assert_eq!(read("zstd", bomb, 100_000).await, too_large);
        assert_eq!(read("identity", zeros, 100_000).await, too_large);
    }

    #[tokio::test]
    async fn damage_and_unknown_packings_are_refused() {
        assert_eq!(
            read("gzip", b"not gzip".to_vec(), 100).await,
            Err(StatusCode::BAD_REQUEST)
        );
        let mut torn = zstd::encode_all(&b"hello hello hello"[..], 3).unwrap();
        torn.truncate(torn.len() - 3);
        assert_eq!(read("zstd", torn, 100).await, Err(StatusCode::BAD_REQUEST));
        assert_eq!(
            read("br", vec![], 100).await,
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        );
    }
}

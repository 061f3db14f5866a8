//! The place: each file one object.

use crate::calls::{Calls, Outcome};
use crate::config::S3Config;
use crate::failure::Failure;
use crate::transport::{Connector, tls};
use crate::url::Target;
use bytes::Bytes;
use nowcast_store::StoreError;
use nowcast_store::artifact::{ArtifactPlace, Entry, Found, Key, Tag};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    RetryConfig, UpdateVersion,
};
use std::fmt;

/// Metadata of an object: which write made it.
const WRITE: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("nowcast-write"));

/// Artifacts on an object store.
pub struct S3Place {
    store: AmazonS3,
    target: Target,
    calls: Calls,
}

impl fmt::Debug for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client would tell its credentials.
        f.debug_tuple("S3Place").field(&self.calls.place()).finish()
    }
}

impl S3Place {
    /// Reads the settings and starts a thread. Connects on the first call, so that a process can
    /// start while the store is away.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for settings that cannot work; no thread to be had.
    pub fn open(url: &str, config: &S3Config) -> Result<Self, StoreError> {
        let invalid = |what: String| StoreError::Invalid(what);
        config.check().map_err(invalid)?;
        let target = Target::parse(url).map_err(|what| invalid(format!("the URL {what}")))?;
        let store = client(&target, config).map_err(invalid)?;
        let calls = Calls::new(target.url(&target.prefix), config)?;
        Ok(Self {
            store,
            target,
            calls,
        })
    }

    fn path(&self, key: Key<'_>) -> Path {
        self.folder(key.artifact).join(key.file)
    }

    fn folder(&self, artifact: &str) -> Path {
        self.target.prefix.clone().join(artifact)
    }

    fn fail<T>(&self, failure: Failure) -> Result<T, StoreError> {
        Err(failure.into_error(self.calls.place()))
    }

    /// Puts an object under a condition; the outcome says whether the condition held.
    fn put(&self, path: &Path, bytes: &[u8], options: &PutOptions) -> Outcome<()> {
        let payload = Bytes::copy_from_slice(bytes);
        self.calls.run(|| {
            let (store, path) = (self.store.clone(), path.clone());
            let (payload, options) = (payload.clone(), options.clone());
            async move {
                store
                    .put_opts(&path, payload.into(), options)
                    .await
                    .map(drop)
            }
        })
    }

    /// Whether the object is what a certain write made.
    fn is_of(&self, path: &Path, write: &str) -> Result<bool, StoreError> {
        let outcome = self.calls.run(|| {
            let (store, path) = (self.store.clone(), path.clone());
            let head = GetOptions::new().with_head(true);
            async move { store.get_opts(&path, head).await.map(|got| got.attributes) }
        });
        match outcome.result {
            Ok(attributes) => Ok(attributes
                .get(&WRITE)
                .is_some_and(|of| of.as_ref() == write)),
            Err(Failure::NotFound) => Ok(false),
            Err(failure) => self.fail(failure),
        }
    }

    fn list(&self, folder: &Path) -> Result<object_store::ListResult, StoreError> {
        let outcome = self.calls.run(|| {
            let (store, folder) = (self.store.clone(), folder.clone());
            async move { store.list_with_delimiter(Some(&folder)).await }
        });
        outcome.result.or_else(|failure| self.fail(failure))
    }
}

/// Makes the client. Its own retries are off: they know neither budget nor which write was ours.
fn client(target: &Target, config: &S3Config) -> Result<AmazonS3, String> {
    let mut builder = if config.access_key_id.is_empty() {
        AmazonS3Builder::from_env()
    } else {
        let builder = AmazonS3Builder::new()
            .with_access_key_id(&config.access_key_id)
            .with_secret_access_key(&config.secret_access_key);
        match config.session_token.as_str() {
            "" => builder,
            token => builder.with_token(token),
        }
    };
    if !config.endpoint.is_empty() {
        builder = builder.with_endpoint(&config.endpoint);
    }
    if !config.region.is_empty() {
        builder = builder.with_region(&config.region);
    }
    let retry = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    builder
        .with_bucket_name(&target.bucket)
        .with_allow_http(config.allow_http)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_http_connector(Connector {
            connect_timeout: config.connect_timeout.duration(),
            tls: tls()?,
        })
        .build()
        .map_err(|error| error.to_string())
}

impl ArtifactPlace for S3Place {
    fn locate(&self, key: Key<'_>) -> String {
        self.target.url(&self.path(key))
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let listed = self.list(&self.target.prefix)?;
        let folders = listed.common_prefixes.iter();
        Ok(folders
            .filter_map(|folder| folder.filename().map(str::to_owned))
            .collect())
    }

    fn entries(&self, artifact: &str) -> Result<Vec<Entry>, StoreError> {
        let listed = self.list(&self.folder(artifact))?;
        let entry = |object: &object_store::ObjectMeta| {
            Some(Entry {
                file: object.location.filename()?.to_owned(),
                bytes: object.size,
            })
        };
        Ok(listed.objects.iter().filter_map(entry).collect())
    }

    fn read(&self, key: Key<'_>) -> Result<Option<Found>, StoreError> {
        let path = self.path(key);
        let outcome = self.calls.run(|| {
            let (store, path) = (self.store.clone(), path.clone());
            async move {
                let got = store.get(&path).await?;
                let tag = got.meta.e_tag.clone();
                Ok((got.bytes().await?, tag))
            }
        });
        match outcome.result {
            Ok((bytes, Some(tag))) => Ok(Some(Found {
                bytes: bytes.into(),
                tag: Tag(tag),
            })),
            Ok((_, None)) => Err(StoreError::Unavailable {
                what: self.locate(key),
                detail: "it has no ETag, and without one it cannot be changed safely".to_owned(),
            }),
            Err(Failure::NotFound) => Ok(None),
            Err(failure) => self.fail(failure),
        }
    }

    fn create(&self, key: Key<'_>, bytes: &[u8]) -> Result<bool, StoreError> {
        let path = self.path(key);
        let write = format!("{:032x}", rand::random::<u128>());
        let options = PutOptions {
            mode: PutMode::Create,
            attributes: Attributes::from_iter([(WRITE, write.clone())]),
            ..PutOptions::default()
        };
        let outcome = self.put(&path, bytes, &options);
        match outcome.result {
            Ok(()) => Ok(true),
            // Perhaps by the try before, whose answer was lost.
            Err(Failure::Condition) if outcome.is_repeated => self.is_of(&path, &write),
            Err(Failure::Condition) => Ok(false),
            Err(failure) => self.fail(failure),
        }
    }

    fn replace(&self, key: Key<'_>, seen: Option<&Tag>, bytes: &[u8]) -> Result<bool, StoreError> {
        let mode = match seen {
            None => PutMode::Create,
            Some(tag) => PutMode::Update(UpdateVersion {
                e_tag: Some(tag.0.clone()),
                version: None,
            }),
        };
        let outcome = self.put(&self.path(key), bytes, &PutOptions::from(mode));
        match outcome.result {
            Ok(()) => Ok(true),
            Err(Failure::Condition) => Ok(false),
            Err(failure) => self.fail(failure),
        }
    }

    fn remove(&self, key: Key<'_>) -> Result<(), StoreError> {
        let path = self.path(key);
        let outcome = self.calls.run(|| {
            let (store, path) = (self.store.clone(), path.clone());
            async move { store.delete(&path).await }
        });
        match outcome.result {
            Ok(()) | Err(Failure::NotFound) => Ok(()),
            Err(failure) => self.fail(failure),
        }
    }
}

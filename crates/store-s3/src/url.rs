//! `s3://bucket/prefix`.

use object_store::path::Path;

/// A bucket and what the names of our objects in it begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    pub(crate) prefix: Path,
}

impl Target {
    /// Reads the URL. Never repeats it: it may hold what somebody took for a place for passwords.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("s3://")
            .ok_or("is not s3://bucket/prefix")?;
        if rest.contains('@') {
            return Err("has no place for credentials: they are keys of their own".to_owned());
        }
        if rest.contains(['?', '#']) {
            return Err("has no place for options: they are keys of their own".to_owned());
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
        if bucket.len() < 3 || bucket.len() > 63 || !bucket.chars().all(is_name) {
            return Err("names no bucket: 3 to 63 of a-z, 0-9, `.`, `-` and `_`".to_owned());
        }
        // What needs no escaping, so that no server signs another form of it.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if !prefix.chars().all(is_plain) {
            return Err("has a prefix with more than letters, digits, `.`, `-`, `_`".to_owned());
        }
        let prefix = Path::parse(prefix).map_err(|_| "has a prefix that is no path".to_owned())?;
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix,
        })
    }

    /// The URL of something in it.
    pub(crate) fn url(&self, path: &Path) -> String {
        format!("s3://{}/{path}", self.bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_and_prefix_are_told_apart() {
        for (url, bucket, prefix) in [
            ("s3://models", "models", ""),
            ("s3://models/", "models", ""),
            ("s3://my.models-2/a/b", "my.models-2", "a/b"),
            ("s3://models/a/", "models", "a"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.bucket.as_str(), target.prefix.as_ref()),
                (bucket, prefix)
            );
        }
    }

    #[test]
    fn what_is_no_place_is_refused_without_being_repeated() {
        for url in [
            "https://models/hush",
            "s3://",
            "s3:///hush",
            "s3://Hush/a",
            "s3://key:hush@models/a",
            "s3://models/a?secret=hush",
            "s3://models/a//hush",
            "s3://models/a hush",
            "s3://models/../hush",
        ] {
            let said = Target::parse(url).unwrap_err();
            assert!(!said.to_lowercase().contains("hush"), "{said}");
        }
    }
}

//! `artifacts.url` and the section that goes with it: where trained models live.

use super::backends::{embedded_or, take_table, take_text};
use nowcast_store_s3::S3Config;
use serde::de::Error;
use toml::{Table, Value};

/// Keys of `[artifacts.s3]` that must never be shown.
const SECRETS: [&str; 3] = ["access_key_id", "secret_access_key", "session_token"];

/// Where models live.
#[derive(Debug, Clone)]
pub struct ArtifactSettings {
    url: String,
    s3: S3Config,
}

/// The place of models.
#[derive(Debug, Clone)]
pub enum ModelPlace {
    /// In the folder of the key.
    Embedded,
    /// On an object store.
    S3 {
        /// `s3://bucket/prefix`.
        url: String,
        /// How it is reached.
        config: Box<S3Config>,
    },
}

impl ArtifactSettings {
    /// Takes the section out.
    pub fn take_from(sections: &mut Table) -> Result<Self, toml::de::Error> {
        let mut artifacts = take_table(sections, "artifacts", "artifacts")?;
        let url = take_text(&mut artifacts, "url", "artifacts.url")?;
        let s3 = take_table(&mut artifacts, "s3", "artifacts.s3")?;
        if let Some(key) = artifacts.keys().next() {
            let message = format!("unknown field `{key}`, expected `url` or `s3`");
            return Err(toml::de::Error::custom(message));
        }
        for key in SECRETS {
            // serde would repeat the value.
            if s3.get(key).is_some_and(|value| !value.is_str()) {
                let message = format!("artifacts.s3.{key} must be a string");
                return Err(toml::de::Error::custom(message));
            }
        }
        Ok(Self {
            url,
            s3: Value::Table(s3).try_into()?,
        })
    }

    /// Where models are.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn place(&self) -> Result<ModelPlace, String> {
        self.s3
            .check()
            .map_err(|what| format!("artifacts.s3.{what}"))?;
        if !self.url.starts_with("s3:") {
            embedded_or("artifacts.url", &self.url, "s3://bucket/prefix")?;
            return Ok(ModelPlace::Embedded);
        }
        S3Config::check_url(&self.url).map_err(|what| format!("artifacts.url {what}"))?;
        Ok(ModelPlace::S3 {
            url: self.url.clone(),
            config: Box::new(self.s3.clone()),
        })
    }
}

/// Takes credentials out of a tree that is to be shown.
pub(super) fn hide_credentials(tree: &mut Table) {
    let Some(Value::Table(artifacts)) = tree.get_mut("artifacts") else {
        return;
    };
    if let Some(Value::Table(s3)) = artifacts.get_mut("s3") {
        for key in SECRETS {
            if let Some(Value::String(secret)) = s3.get_mut(key)
                && !secret.is_empty()
            {
                "***".clone_into(secret);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> ArtifactSettings {
        let text = format!("[artifacts]\n{text}");
        ArtifactSettings::take_from(&mut toml::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn the_file_of_defaults_says_what_the_crate_defaults_to() {
        let defaults = ArtifactSettings::take_from(&mut crate::settings::defaults()).unwrap();
        assert_eq!(defaults.s3, S3Config::default());
        assert!(matches!(defaults.place(), Ok(ModelPlace::Embedded)));
    }

    #[test]
    fn the_url_chooses_the_place() {
        let on_s3 = settings("url = 's3://models/a'\n[artifacts.s3]\nregion = 'eu-central-1'");
        let Ok(ModelPlace::S3 { url, config }) = on_s3.place() else {
            panic!("not on S3");
        };
        assert_eq!(url, "s3://models/a");
        assert_eq!(config.region, "eu-central-1");
        for (text, said) in [
            ("url = 'gs://models'\n[artifacts.s3]", "s3://bucket/prefix"),
            ("url = 's3://A'\n[artifacts.s3]", "artifacts.url"),
            (
                "url = 'embedded'\n[artifacts.s3]\nendpoint = 'http://a'",
                "artifacts.s3.endpoint",
            ),
        ] {
            let error = settings(text).place().unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let text = "[artifacts]\nurl = 's3://models'\n[artifacts.s3]\naccess_key_id = 'hush'\n\
                    secret_access_key = 'hush'\nsession_token = 'hush'";
        let mut tree: Table = toml::from_str(text).unwrap();
        let settings = ArtifactSettings::take_from(&mut tree.clone()).unwrap();
        assert!(!format!("{settings:?}").contains("hush"));
        hide_credentials(&mut tree);
        assert!(!tree.to_string().contains("hush"), "{tree}");
        let number = "[artifacts]\nurl = 'embedded'\n[artifacts.s3]\nsecret_access_key = 4711";
        let refused = ArtifactSettings::take_from(&mut toml::from_str(number).unwrap());
        let said = refused.unwrap_err().to_string();
        assert!(
            said.contains("secret_access_key") && !said.contains("4711"),
            "{said}"
        );
    }
}

//! The `[registry]` section.

use serde::Deserialize;

/// The built-in schema registry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Whether the server answers as a schema registry.
    pub enabled: bool,
    /// Where on the server it is mounted; what clients are given as `schema.registry.url`.
    pub path: String,
}

impl RegistryConfig {
    /// Checks the path.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
        };
        let rest = self.path.strip_prefix('/');
        let is_free = self.path != "/v1" && !self.path.starts_with("/v1/");
        if is_free && rest.is_some_and(|rest| rest.split('/').all(is_part)) {
            return Ok(());
        }
        Err(format!(
            "registry.path = `{}`: a path such as `/registry`, outside of `/v1` and without a \
             slash at its end",
            self.path
        ))
    }
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/registry".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_hide_the_api_is_refused() {
        let at = |path: &str| RegistryConfig {
            path: path.to_owned(),
            ..RegistryConfig::default()
        };
        for good in ["/registry", "/a/b-c"] {
            assert_eq!(at(good).validate(), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/",
            "registry",
            "/registry/",
            "/v1",
            "/v1/registry",
            "/{a}",
            "/a b",
        ] {
            assert!(at(bad).validate().is_err(), "{bad}");
        }
    }
}

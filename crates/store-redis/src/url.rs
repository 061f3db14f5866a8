//! Reading the URL: one server, a cluster, or a master behind sentinels.

use crate::error::RedisStoreError;

/// What a URL points at. Server URLs are in the form that the `redis` crate reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Single(String),
    Cluster(Vec<String>),
    Sentinel {
        sentinels: Vec<String>,
        master: String,
        db: i64,
        is_tls: bool,
        username: Option<String>,
        password: Option<String>,
    },
}

fn refuse(what: &str) -> RedisStoreError {
    RedisStoreError::Config(format!(
        "the url {what}; write redis://host:port/db, redis+cluster://host:port,host:port or \
         redis+sentinel://host:port,host:port/master-name/db, or the same with rediss for TLS"
    ))
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, RedisStoreError> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| refuse("has no scheme"))?;
        let (plain, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!(plain, "redis" | "rediss") {
            return Err(refuse("has an unknown scheme"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user_info, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let hosts: Vec<&str> = hosts.split(',').filter(|host| !host.is_empty()).collect();
        if hosts.is_empty() {
            return Err(refuse("names no host"));
        }
        let at = if user_info.is_empty() { "" } else { "@" };
        match kind {
            "" if hosts.len() == 1 => Ok(Self::Single(url.to_owned())),
            "" => Err(refuse("names several hosts of one server")),
            "cluster" if path.is_empty() => {
                let node = |host: &&str| format!("{plain}://{user_info}{at}{host}");
                Ok(Self::Cluster(hosts.iter().map(node).collect()))
            }
            "cluster" => Err(refuse("has a path, and a cluster has one database")),
            "sentinel" => Self::sentinel(plain, user_info, &hosts, path),
            _ => Err(refuse("has an unknown scheme")),
        }
    }

    /// The credentials are those of the server; sentinels are asked without.
    fn sentinel(
        plain: &str,
        user_info: &str,
        hosts: &[&str],
        path: &str,
    ) -> Result<Self, RedisStoreError> {
        let (master, db) = path.split_once('/').unwrap_or((path, "0"));
        if master.is_empty() {
            return Err(refuse("names no master"));
        }
        let db = db.parse().map_err(|_| refuse("has an odd database"))?;
        let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(Self::Sentinel {
            sentinels: hosts
                .iter()
                .map(|host| format!("{plain}://{host}"))
                .collect(),
            master: master.to_owned(),
            db,
            is_tls: plain == "rediss",
            username: given(username),
            password: given(password),
        })
    }

    /// Where, without credentials.
    pub(crate) fn address(&self) -> String {
        let bare = |url: &String| {
            let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            rest.rsplit_once('@')
                .map_or(rest, |(_, host)| host)
                .to_owned()
        };
        match self {
            Self::Single(url) => bare(url),
            Self::Cluster(urls) => urls.iter().map(bare).collect::<Vec<_>>().join(","),
            Self::Sentinel {
                sentinels, master, ..
            } => format!(
                "{master} of {}",
                sentinels.iter().map(bare).collect::<Vec<_>>().join(",")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_none_shows_its_password() {
        let single = Target::parse("rediss://me:secret@host:1/2").unwrap();
        assert_eq!(single.address(), "host:1/2");
        let cluster = Target::parse("redis+cluster://me:secret@a:1,b:2").unwrap();
        assert_eq!(
            cluster,
            Target::Cluster(vec![
                "redis://me:secret@a:1".to_owned(),
                "redis://me:secret@b:2".to_owned()
            ])
        );
        assert_eq!(cluster.address(), "a:1,b:2");
        let sentinel = Target::parse("redis+sentinel://:secret@a:1,b:2/main/3").unwrap();
        assert_eq!(sentinel.address(), "main of a:1,b:2");
        assert!(matches!(
            sentinel,
            Target::Sentinel { db: 3, username: None, password: Some(ref p), .. } if p == "secret"
        ));
    }

    #[test]
    fn what_is_not_such_a_url_is_refused_with_the_forms() {
        for url in [
            "localhost",
            "http://a",
            "redis://",
            "redis://a,b",
            "redis+cluster://a/1",
            "redis+sentinel://a",
            "redis+x://a",
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(error.contains("redis+cluster://"), "{url}: {error}");
        }
    }
}

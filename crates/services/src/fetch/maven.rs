//! Java libraries with everything they depend on, from Maven Central.

use super::debian::{Program, require};
use super::{find_program, once, run};
use crate::error::{Result, ServicesError};
use crate::places;
use crate::versions::{JAVA_MIN, MAVEN_DEPENDENCY_PLUGIN};
use std::path::{Path, PathBuf};
use std::process::Command;

const MAVEN: Program = Program::new("mvn", &["maven"]);

/// Group, artifact and version.
pub(crate) type Artifact<'a> = (&'a str, &'a str, &'a str);

/// Copies `artifacts` and their runtime dependencies into `<folder>/lib`.
pub(crate) fn copy(what: &str, artifacts: &[Artifact<'_>], folder: &Path) -> Result<()> {
    let maven = MAVEN.find_or_install()?;
    let pom = folder.join("pom.xml");
    places::write(&pom, &project(artifacts))?;
    let goal = format!(
        "org.apache.maven.plugins:maven-dependency-plugin:{MAVEN_DEPENDENCY_PLUGIN}:copy-dependencies"
    );
    let mut command = Command::new(maven);
    command
        .args(["-B", "-q", "-f"])
        .arg(&pom)
        .arg(goal)
        .arg("-DincludeScope=runtime")
        .arg(format!(
            "-DoutputDirectory={}",
            folder.join("lib").display()
        ));
    run(what, &mut command)
}

/// The cache folder `name` whose `lib` holds `artifacts` and their dependencies.
pub(crate) fn library(name: &str, what: &str, artifacts: &[Artifact<'_>]) -> Result<PathBuf> {
    let folder = once(name, what, |folder| copy(what, artifacts, folder))?;
    Ok(folder.join("lib"))
}

fn project(artifacts: &[Artifact<'_>]) -> String {
    let dependencies: String = artifacts
        .iter()
        .map(|(group, artifact, version)| {
            format!(
                "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
                 <version>{version}</version></dependency>\n"
            )
        })
        .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n\
         <modelVersion>4.0.0</modelVersion>\n\
         <groupId>nowcast</groupId><artifactId>services</artifactId><version>1</version>\n\
         <packaging>pom</packaging>\n<dependencies>\n{dependencies}</dependencies>\n</project>\n"
    )
}

/// A `java` that is new enough: that of `$JAVA_HOME`, that of `$PATH`, or Debian's.
pub(crate) fn java() -> Result<PathBuf> {
    let of_home = || {
        let home = PathBuf::from(std::env::var_os("JAVA_HOME")?);
        Some(home.join("bin/java")).filter(|java| java.is_file())
    };
    let java = require("java", &["default-jre-headless"], || {
        of_home().or_else(|| find_program("java"))
    })?;
    let output = Command::new(&java)
        .arg("-version")
        .output()
        .map_err(|source| ServicesError::io(format!("run {}", java.display()), source))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match major_version(&said) {
        Some(major) if major >= JAVA_MIN => Ok(java),
        _ => Err(ServicesError::Invalid(format!(
            "{} is not Java {JAVA_MIN} or later; it says: {}",
            java.display(),
            said.trim()
        ))),
    }
}

/// The 17 of `openjdk version "17.0.15"`, which may stand below other lines.
fn major_version(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("version \"")?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_of_all_ages_tell_their_version() {
        let said = "Picked up JAVA_TOOL_OPTIONS: -Da=b\nopenjdk version \"17.0.15\" 2025-04-15";
        assert_eq!(major_version(said), Some(17));
        assert_eq!(major_version("openjdk version \"21\" 2023"), Some(21));
        assert_eq!(major_version("java version \"1.8.0_202\""), Some(1));
        assert_eq!(major_version("no java here"), None);
    }
}

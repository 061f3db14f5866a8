//! Kafka's jars, and what brokers and Connect workers have in common as Java programs.

use crate::error::{At, Result};
use crate::fetch::{maven, once, run};
use crate::places::{self, make_dir};
use crate::versions::{KAFKA, KAFKA_SCALA, SLF4J};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of the file that tells a fresh broker which features its cluster begins with.
pub(super) const BOOTSTRAP: &str = "bootstrap.checkpoint";

/// The folder of Kafka's software: `lib` has the jars, [`BOOTSTRAP`] lies beside it.
pub(crate) fn fetch() -> Result<PathBuf> {
    let what = format!("Apache Kafka {KAFKA} (45 MB)");
    once(&format!("kafka-{KAFKA}"), &what, |folder| {
        let broker = format!("kafka_{KAFKA_SCALA}");
        let artifacts = [
            ("org.apache.kafka", broker.as_str(), KAFKA),
            ("org.slf4j", "slf4j-simple", SLF4J),
        ];
        maven::copy(&what, &artifacts, folder)?;
        format_once(folder)
    })
}

/// Formats a storage folder with Kafka's own tool and keeps what does not depend on the node,
/// so that starting a cluster does not take another Java process for each broker.
fn format_once(folder: &Path) -> Result<()> {
    let storage = folder.join("storage");
    make_dir(&storage)?;
    let properties = folder.join("format.properties");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\nlog.dirs={}\n\
         controller.quorum.voters=1@127.0.0.1:9093\ncontroller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n",
        storage.display()
    );
    places::write(&properties, &text)?;
    let mut tool = tool(folder, "kafka.tools.StorageTool")?;
    tool.args(["format", "-t", "nowcastnowcastnowcastQ", "-c"])
        .arg(&properties);
    run("Kafka's initial storage", &mut tool)?;
    let made = storage.join(BOOTSTRAP);
    std::fs::rename(&made, folder.join(BOOTSTRAP)).at("rename", made)?;
    std::fs::remove_dir_all(&storage).at("remove", storage)
}

/// One of the programs in Kafka's software folder.
pub(super) fn tool(software: &Path, class: &str) -> Result<Command> {
    let mut tool = Command::new(maven::java()?);
    tool.args(["-Xmx128m", "-XX:-UsePerfData", "-cp"])
        .arg(classpath(&[&software.join("lib")]))
        .arg(class);
    Ok(tool)
}

/// A class path of all jars in some folders.
pub(crate) fn classpath(folders: &[&Path]) -> OsString {
    let all: Vec<String> = folders
        .iter()
        .map(|folder| format!("{}/*", folder.display()))
        .collect();
    all.join(":").into()
}

/// Arguments that make a Java server small, quiet on disk and loud in its log.
pub(crate) fn java_arguments(heap_mib: usize) -> Vec<OsString> {
    [
        format!("-Xms{}m", heap_mib / 2),
        format!("-Xmx{heap_mib}m"),
        // One thread: the heap is small and the processors are few.
        "-XX:+UseSerialGC".to_owned(),
        "-XX:+ExitOnOutOfMemoryError".to_owned(),
        "-XX:-UsePerfData".to_owned(),
        "-Djava.awt.headless=true".to_owned(),
        "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS".to_owned(),
    ]
    .into_iter()
    .map(OsString::from)
    .collect()
}

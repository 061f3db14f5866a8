//! Protobuf's rules of evolution: what counts is the number, the type and the label of a field.
//!
//! The wire does not have names, so renaming a field is compatible here, as it is in other
//! registries. Nowcast's own decoder maps fields by name: after a rename it no longer finds the
//! field, which is why the shipped schemas never rename one.

use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use std::collections::{BTreeMap, HashSet};

/// Why a reader of `reader`'s messages cannot read what `writer`'s write.
pub(super) fn cannot_read(reader: &FileDescriptor, writer: &FileDescriptor) -> Vec<String> {
    let mut checker = Checker::default();
    let of_reader = by_name(reader);
    for (name, written) in by_name(writer) {
        match of_reader.get(&name) {
            Some(read) => checker.messages(read, &written),
            None => checker
                .reasons
                .push(format!("{name}: the message is gone from the reader")),
        }
    }
    checker.reasons
}

/// The messages of a file by their name without the package, map entries left out.
fn by_name(file: &FileDescriptor) -> BTreeMap<String, MessageDescriptor> {
    fn add(message: MessageDescriptor, found: &mut BTreeMap<String, MessageDescriptor>) {
        if message.is_map_entry() {
            return;
        }
        message.child_messages().for_each(|child| add(child, found));
        found.insert(relative(&message), message);
    }
    let mut found = BTreeMap::new();
    file.messages().for_each(|message| add(message, &mut found));
    found
}

fn relative(message: &MessageDescriptor) -> String {
    let name = message.full_name();
    let package = message.package_name();
    let name = name.strip_prefix(package).unwrap_or(name);
    name.trim_start_matches('.').to_owned()
}

#[derive(Default)]
struct Checker {
    seen: HashSet<(String, String)>,
    reasons: Vec<String>,
}

impl Checker {
    fn messages(&mut self, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        let pair = (reader.full_name().to_owned(), writer.full_name().to_owned());
        if !self.seen.insert(pair) {
            return;
        }
        let message = relative(writer);
        for written in writer.fields() {
            match reader.get_field(written.number()) {
                Some(read) => self.fields(&message, &read, &written),
                None if written.is_required() => self.reasons.push(format!(
                    "{message}.{}: a required field is gone",
                    written.name()
                )),
                None if is_in_oneof(&written) => self.reasons.push(format!(
                    "{message}.{}: a field of a oneof is gone",
                    written.name()
                )),
                None => {}
            }
        }
        for read in reader.fields() {
            if read.is_required() && writer.get_field(read.number()).is_none() {
                self.reasons.push(format!(
                    "{message}.{}: a required field was added",
                    read.name()
                ));
            }
        }
        self.oneofs(&message, reader, writer);
    }

    fn fields(&mut self, message: &str, read: &FieldDescriptor, written: &FieldDescriptor) {
        let place = format!("{message}.{} = {}", written.name(), written.number());
        let (to, from) = (read.kind(), written.kind());
        if read.is_required() && !written.is_required() {
            self.reasons
                .push(format!("{place}: the field became required"));
        }
        if read.is_list() != written.is_list() || read.is_map() != written.is_map() {
            // The last of many strings, bytes or messages is read as one; packed numbers are not.
            let is_length_delimited = matches!(from, Kind::String | Kind::Bytes | Kind::Message(_));
            if !is_length_delimited || read.is_map() || written.is_map() {
                self.reasons.push(format!("{place}: `repeated` changed"));
            }
        }
        match (&to, &from) {
            (Kind::Message(to), Kind::Message(from)) => {
                if to.is_map_entry() && from.is_map_entry() {
                    self.messages(to, from);
                } else if relative(to) != relative(from) {
                    let (to, from) = (to.full_name(), from.full_name());
                    self.reasons
                        .push(format!("{place}: message {from} became {to}"));
                } else {
                    self.messages(to, from);
                }
            }
            (Kind::Enum(_), Kind::Enum(_)) => {}
            _ if group(&to) == group(&from) => {}
            _ => self
                .reasons
                .push(format!("{place}: {} became {}", name(&from), name(&to))),
        }
        if read.is_group() != written.is_group() {
            self.reasons
                .push(format!("{place}: a group became a message or the reverse"));
        }
    }

    /// Two fields that could be there together must not end in one oneof.
    fn oneofs(&mut self, message: &str, reader: &MessageDescriptor, writer: &MessageDescriptor) {
        for oneof in reader.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let moved = oneof.fields().filter(|read| {
                let written = writer.get_field(read.number());
                written.is_some_and(|written| !is_in_oneof(&written))
            });
            if moved.count() > 1 {
                self.reasons.push(format!(
                    "{message}.{}: more than one existing field was moved into the oneof",
                    oneof.name()
                ));
            }
        }
    }
}

fn is_in_oneof(field: &FieldDescriptor) -> bool {
    field
        .containing_oneof()
        .is_some_and(|oneof| !oneof.is_synthetic())
}

/// Types that can be read as each other have the same group.
fn group(kind: &Kind) -> u8 {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => 0,
        Kind::Sint32 | Kind::Sint64 => 1,
        Kind::String | Kind::Bytes => 2,
        Kind::Fixed32 | Kind::Sfixed32 => 3,
        Kind::Fixed64 | Kind::Sfixed64 => 4,
        Kind::Float => 5,
        Kind::Double => 6,
        Kind::Message(_) => 7,
    }
}

fn name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => format!("message {}", message.full_name()),
        Kind::Enum(described) => format!("enum {}", described.full_name()),
        scalar => format!("{scalar:?}").to_ascii_lowercase(),
    }
}

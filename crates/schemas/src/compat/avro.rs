//! Avro's schema resolution (Avro 1.12.0, "Schema Resolution"), asked of schemas instead of data.
//!
//! Logical types do not count: resolution is about the types below them.

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, RecordSchema, UuidSchema};
use std::collections::{HashMap, HashSet};

/// Why `reader` cannot read what `writer` writes.
pub(super) fn cannot_read(
    reader: (&Schema, &[Schema]),
    writer: (&Schema, &[Schema]),
) -> Vec<String> {
    let mut checker = Checker {
        of_reader: names(reader),
        of_writer: names(writer),
        assumed: HashSet::new(),
        reasons: Vec::new(),
    };
    checker.pair(reader.0, writer.0, "");
    checker.reasons
}

type Names<'s> = HashMap<&'s Name, &'s Schema>;

fn names<'s>((schema, dependencies): (&'s Schema, &'s [Schema])) -> Names<'s> {
    let mut names = Names::new();
    for schema in dependencies.iter().chain([schema]) {
        collect(schema, &mut names);
    }
    names
}

fn collect<'s>(schema: &'s Schema, names: &mut Names<'s>) {
    match schema {
        Schema::Record(record) => {
            names.insert(&record.name, schema);
            for field in &record.fields {
                collect(&field.schema, names);
            }
        }
        Schema::Enum(symbols) => {
            names.insert(&symbols.name, schema);
        }
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
            names.insert(&fixed.name, schema);
        }
        Schema::Decimal(decimal) => {
            if let InnerDecimalSchema::Fixed(fixed) = &decimal.inner {
                names.insert(&fixed.name, schema);
            }
        }
        Schema::Array(array) => collect(&array.items, names),
        Schema::Map(map) => collect(&map.types, names),
        Schema::Union(union) => union.variants().iter().for_each(|v| collect(v, names)),
        _ => {}
    }
}

/// A type without its logical meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Physical {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Named,
    Array,
    Map,
    Union,
}

fn physical(schema: &Schema) -> Physical {
    match schema {
        Schema::Null => Physical::Null,
        Schema::Boolean => Physical::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => Physical::Int,
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Physical::Long,
        Schema::Float => Physical::Float,
        Schema::Double => Physical::Double,
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Physical::Bytes,
        Schema::Decimal(decimal) => match decimal.inner {
            InnerDecimalSchema::Bytes => Physical::Bytes,
            InnerDecimalSchema::Fixed(_) => Physical::Named,
        },
        Schema::String | Schema::Uuid(UuidSchema::String) => Physical::Text,
        Schema::Array(_) => Physical::Array,
        Schema::Map(_) => Physical::Map,
        Schema::Union(_) => Physical::Union,
        _ => Physical::Named,
    }
}

fn is_promoted(writer: Physical, reader: Physical) -> bool {
    use Physical as P;
    writer == reader
        || matches!(
            (writer, reader),
            (P::Int, P::Long | P::Float | P::Double)
                | (P::Long, P::Float | P::Double)
                | (P::Float, P::Double)
                | (P::Text, P::Bytes)
                | (P::Bytes, P::Text)
        )
}

struct Checker<'s> {
    of_reader: Names<'s>,
    of_writer: Names<'s>,
    /// Pairs of records under way: a schema that refers to itself is right if the rest is.
    assumed: HashSet<(String, String)>,
    reasons: Vec<String>,
}

impl<'s> Checker<'s> {
    fn refuse(&mut self, path: &str, reason: String) {
        let path = if path.is_empty() { "/" } else { path };
        self.reasons.push(format!("{path}: {reason}"));
    }

    /// Whether a pair resolves; its reasons are kept only if it does not.
    fn resolves(&mut self, reader: &'s Schema, writer: &'s Schema) -> bool {
        let before = self.reasons.len();
        let assumed = self.assumed.clone();
        self.pair(reader, writer, "");
        let is_fine = self.reasons.len() == before;
        self.reasons.truncate(before);
        if !is_fine {
            self.assumed = assumed;
        }
        is_fine
    }

    fn pair(&mut self, reader: &'s Schema, writer: &'s Schema, path: &str) {
        let Some(reader) = deref(reader, &self.of_reader) else {
            return self.refuse(
                path,
                "the reader uses a name that is not defined".to_owned(),
            );
        };
        let Some(writer) = deref(writer, &self.of_writer) else {
            return self.refuse(
                path,
                "the writer uses a name that is not defined".to_owned(),
            );
        };
        if let Schema::Union(union) = writer {
            for branch in union.variants() {
                self.pair(reader, branch, path);
            }
            return;
        }
        if let Schema::Union(union) = reader {
            let found = union
                .variants()
                .iter()
                .any(|branch| self.resolves(branch, writer));
            if !found {
                let name = describe(writer);
                self.refuse(
                    path,
                    format!("no branch of the reader's union reads {name}"),
                );
            }
            return;
        }
        match (reader, writer) {
            (Schema::Array(reader), Schema::Array(writer)) => {
                self.pair(&reader.items, &writer.items, &format!("{path}/items"));
            }
            (Schema::Map(reader), Schema::Map(writer)) => {
                self.pair(&reader.types, &writer.types, &format!("{path}/values"));
            }
            (Schema::Record(reader), Schema::Record(writer)) => self.records(reader, writer, path),
            (Schema::Enum(reader), Schema::Enum(writer)) => {
                self.names(&reader.name, reader.aliases.as_deref(), &writer.name, path);
                let is_known = |symbol: &&String| !reader.symbols.contains(symbol);
                if reader.default.is_none()
                    && let Some(symbol) = writer.symbols.iter().find(is_known)
                {
                    let reason = format!("the reader's enum lacks `{symbol}` and has no default");
                    self.refuse(path, reason);
                }
            }
            _ => match (fixed_size(reader), fixed_size(writer)) {
                (Some((name, aliases, size)), Some((other, _, other_size))) => {
                    self.names(name, aliases, other, path);
                    if size != other_size {
                        let reason = format!("fixed of {other_size} bytes read as one of {size}");
                        self.refuse(path, reason);
                    }
                }
                _ => {
                    let (of_writer, of_reader) = (physical(writer), physical(reader));
                    if of_writer == Physical::Named || !is_promoted(of_writer, of_reader) {
                        let (writer, reader) = (describe(writer), describe(reader));
                        self.refuse(path, format!("{writer} cannot be read as {reader}"));
                    }
                }
            },
        }
    }

    fn names(
        &mut self,
        reader: &Name,
        aliases: Option<&[apache_avro::schema::Alias]>,
        writer: &Name,
        path: &str,
    ) {
        let full = writer.to_string();
        let is_alias = |alias: &apache_avro::schema::Alias| alias.fullname(None) == full;
        let is_same = reader.name() == writer.name();
        if !is_same && !aliases.is_some_and(|aliases| aliases.iter().any(is_alias)) {
            self.refuse(path, format!("`{full}` is named `{reader}` in the reader"));
        }
    }

    fn records(&mut self, reader: &'s RecordSchema, writer: &'s RecordSchema, path: &str) {
        self.names(&reader.name, reader.aliases.as_deref(), &writer.name, path);
        let pair = (reader.name.to_string(), writer.name.to_string());
        if !self.assumed.insert(pair) {
            return;
        }
        for field in &reader.fields {
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let written = names
                .filter_map(|name| writer.fields.iter().find(|written| written.name == *name))
                .next();
            let path = format!("{path}/{}", field.name);
            match written {
                Some(written) => self.pair(&field.schema, &written.schema, &path),
                None if field.default.is_some() => {}
                None => self.refuse(
                    &path,
                    "the reader's field is not written and has no default".to_owned(),
                ),
            }
        }
    }
}

fn deref<'s>(schema: &'s Schema, names: &Names<'s>) -> Option<&'s Schema> {
    match schema {
        Schema::Ref { name } => names.get(name).copied(),
        other => Some(other),
    }
}

type Fixed<'s> = (&'s Name, Option<&'s [apache_avro::schema::Alias]>, usize);

fn fixed_size(schema: &Schema) -> Option<Fixed<'_>> {
    let fixed = match schema {
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
            fixed
        }
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Fixed(fixed) => fixed,
            InnerDecimalSchema::Bytes => return None,
        },
        _ => return None,
    };
    Some((&fixed.name, fixed.aliases.as_deref(), fixed.size))
}

fn describe(schema: &Schema) -> String {
    match (schema, fixed_size(schema)) {
        (Schema::Record(record), _) => format!("record `{}`", record.name),
        (Schema::Enum(symbols), _) => format!("enum `{}`", symbols.name),
        (_, Some((name, ..))) => format!("fixed `{name}`"),
        _ => match physical(schema) {
            Physical::Text => "string".to_owned(),
            other => format!("{other:?}").to_ascii_lowercase(),
        },
    }
}

//! Avro datums of any writer schema into the fields of the shipped schema.
//!
//! A writer schema is compiled once into a plan: a table of nodes, and for each field of the
//! outermost record the event's field of that name or alias, or none. Decoding walks the plan and
//! never builds a value of what is not an event's field. Resolution is Avro's (names, aliases,
//! unions, promotion of int to long and double, bytes to string), and a little wider where nothing
//! can be mistaken: a time in micro- or nanoseconds becomes milliseconds, an enum's symbol a text,
//! a record or map the JSON object that `properties` takes.

use super::avro_reader::AvroReader;
use crate::cell::{Cell, EventField};
use crate::fault::{Fault, FaultCode};
use crate::fields::EventFields;
use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, UuidSchema};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// Deepest nesting of a datum.
const DEPTH_MAX: usize = 64;
/// Most nodes in one writer schema.
const NODES_MAX: usize = 100_000;

/// A writer schema, ready to decode with.
#[derive(Debug)]
pub(crate) struct AvroPlan {
    nodes: Vec<Node>,
    root: usize,
    /// For the fields of the outermost record: the event's field they go to.
    targets: Vec<Option<EventField>>,
}

#[derive(Debug)]
enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    /// Instants: how many units are a millisecond.
    Instant(i64),
    /// An unscaled integer: of `Some` fixed length or with a length before it; and its scale.
    Decimal(Option<usize>, i32),
    Fixed(usize),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<(String, usize)>),
}

impl AvroPlan {
    /// Compiles a parsed writer schema and those it refers to.
    pub(crate) fn compile(schema: &Schema, dependencies: &[Schema]) -> Result<Self, Fault> {
        let mut compiler = Compiler::default();
        for dependency in dependencies {
            compiler.node(dependency)?;
        }
        let root = compiler.node(schema)?;
        // A union of null and one record is how some producers write optional messages.
        let outermost = match schema {
            Schema::Union(union) => union
                .variants()
                .iter()
                .find(|variant| matches!(variant, Schema::Record(_))),
            other => Some(other),
        };
        let targets = match outermost {
            Some(Schema::Record(record)) => record
                .fields
                .iter()
                .map(|field| {
                    let aliases = field.aliases.iter().map(String::as_str);
                    std::iter::once(field.name.as_str())
                        .chain(aliases)
                        .find_map(EventField::from_name)
                })
                .collect(),
            _ => Vec::new(),
        };
        Ok(Self {
            nodes: compiler.nodes,
            root,
            targets,
        })
    }

    /// Decodes the datum that is exactly `bytes` into an event.
    pub(super) fn event<'m>(&self, bytes: &'m [u8]) -> Result<EventFields<'m>, Fault> {
        let mut reader = AvroReader::new(bytes);
        let mut place = self.root;
        if let Node::Union(branches) = &self.nodes[place] {
            place = branches[reader.index(branches.len())?];
        }
        let Node::Record(members) = &self.nodes[place] else {
            return Err(Fault::new(
                FaultCode::WrongType,
                "",
                "a record of an event's fields",
            ));
        };
        let mut fields = EventFields::default();
        for ((name, node), target) in members.iter().zip(&self.targets) {
            let cell = self.cell(*node, &mut reader, 1);
            let cell = cell.map_err(|fault| fault.under(name))?;
            if let Some(target) = target {
                fields.set(*target, cell)?;
            }
        }
        reader.end()?;
        Ok(fields)
    }

    /// Decodes the datum that is exactly `bytes` into a JSON value.
    pub(super) fn value(&self, bytes: &[u8]) -> Result<Value, Fault> {
        let mut reader = AvroReader::new(bytes);
        let value = self.cell(self.root, &mut reader, 0)?.into_json();
        reader.end()?;
        Ok(value)
    }

    fn cell<'m>(
        &self,
        place: usize,
        reader: &mut AvroReader<'m>,
        depth: usize,
    ) -> Result<Cell<'m>, Fault> {
        reader.spend()?;
        if depth > DEPTH_MAX {
            let expected = format!("at most {DEPTH_MAX} levels");
            return Err(Fault::new(FaultCode::TooDeep, "", expected));
        }
        Ok(match &self.nodes[place] {
            Node::Null => Cell::Null,
            Node::Boolean => Cell::Bool(reader.boolean()?),
            Node::Int => Cell::Int(reader.int()?),
            Node::Long => Cell::Int(reader.long()?),
            Node::Float => Cell::Number(reader.float()?),
            Node::Double => Cell::Number(reader.double()?),
            Node::Bytes => bytes_cell(reader.bytes("bytes")?),
            Node::Text => Cell::Text(Cow::Borrowed(reader.string()?)),
            Node::Instant(per_ms) => Cell::TimeMs(reader.long()?.div_euclid(*per_ms)),
            Node::Decimal(fixed, scale) => {
                let bytes = match fixed {
                    Some(len) => reader.take(*len, "a decimal")?,
                    None => reader.bytes("a decimal")?,
                };
                decimal(bytes, *scale)?
            }
            Node::Fixed(len) => bytes_cell(reader.take(*len, "fixed bytes")?),
            Node::Enum(symbols) => Cell::Symbol(symbols[reader.index(symbols.len())?].clone()),
            Node::Union(branches) => {
                let branch = branches[reader.index(branches.len())?];
                self.cell(branch, reader, depth + 1)?
            }
            Node::Array(entry) => self.array(*entry, reader, depth + 1)?,
            Node::Map(entry) => self.map(*entry, reader, depth + 1)?,
            Node::Record(members) => {
                let mut object = Map::new();
                for (name, node) in members {
                    let cell = self.cell(*node, reader, depth + 1);
                    let cell = cell.map_err(|fault| fault.under(name))?;
                    object.insert(name.clone(), cell.into_json());
                }
                Cell::Composed(Value::Object(object))
            }
        })
    }

    fn array<'m>(
        &self,
        entry: usize,
        reader: &mut AvroReader<'m>,
        depth: usize,
    ) -> Result<Cell<'m>, Fault> {
        let mut list = Vec::new();
        loop {
            let count = reader.block()?;
            if count == 0 {
                return Ok(Cell::Composed(Value::Array(list)));
            }
            for _ in 0..count {
                list.push(self.cell(entry, reader, depth)?.into_json());
            }
        }
    }

    fn map<'m>(
        &self,
        entry: usize,
        reader: &mut AvroReader<'m>,
        depth: usize,
    ) -> Result<Cell<'m>, Fault> {
        let mut object = Map::new();
        loop {
            let count = reader.block()?;
            if count == 0 {
                return Ok(Cell::Composed(Value::Object(object)));
            }
            for _ in 0..count {
                let name = reader.string()?;
                let value = self.cell(entry, reader, depth)?.into_json();
                object.insert(name.to_owned(), value);
            }
        }
    }
}

/// Bytes that are UTF-8 are a text (Avro promotes the one to the other), others become base64.
fn bytes_cell(bytes: &[u8]) -> Cell<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cell::Text(Cow::Borrowed(text)),
        Err(_) => Cell::Composed(Value::String(STANDARD.encode(bytes))),
    }
}

/// Longest decimal in bytes: 38 digits, as many as databases have.
const DECIMAL_BYTES_MAX: usize = 16;

fn decimal<'m>(bytes: &[u8], scale: i32) -> Result<Cell<'m>, Fault> {
    if bytes.len() > DECIMAL_BYTES_MAX {
        let expected = format!("a decimal of at most {DECIMAL_BYTES_MAX} bytes");
        return Err(Fault::new(FaultCode::OutOfRange, "", expected).found(bytes.len()));
    }
    let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if is_negative { 0xff } else { 0 }; DECIMAL_BYTES_MAX];
    wide[DECIMAL_BYTES_MAX - bytes.len()..].copy_from_slice(bytes);
    let unscaled = i128::from_be_bytes(wide);
    // Through text, so that 12.34 is the same number as in JSON.
    let text = format!("{unscaled}e{}", -i64::from(scale));
    Ok(Cell::Number(text.parse().unwrap_or(f64::NAN)))
}

#[derive(Default)]
struct Compiler {
    nodes: Vec<Node>,
    named: HashMap<Name, usize>,
}

impl Compiler {
    fn push(&mut self, node: Node) -> Result<usize, Fault> {
        if self.nodes.len() == NODES_MAX {
            return Err(bad_schema("a smaller writer schema"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// A place for a named type, known before its parts are, because they may refer to it.
    fn reserve(&mut self, name: &Name) -> Result<usize, Fault> {
        let place = self.push(Node::Null)?;
        self.named.insert(name.clone(), place);
        Ok(place)
    }

    fn node(&mut self, schema: &Schema) -> Result<usize, Fault> {
        let node = match schema {
            Schema::Null => Node::Null,
            Schema::Boolean => Node::Boolean,
            Schema::Int | Schema::Date | Schema::TimeMillis => Node::Int,
            Schema::Long | Schema::TimeMicros => Node::Long,
            Schema::TimestampMillis | Schema::LocalTimestampMillis => Node::Instant(1),
            Schema::TimestampMicros | Schema::LocalTimestampMicros => Node::Instant(1_000),
            Schema::TimestampNanos | Schema::LocalTimestampNanos => Node::Instant(1_000_000),
            Schema::Float => Node::Float,
            Schema::Double => Node::Double,
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Node::Bytes,
            Schema::String | Schema::Uuid(UuidSchema::String) => Node::Text,
            Schema::Decimal(decimal) => {
                let scale = i32::try_from(decimal.scale)
                    .map_err(|_| bad_schema("a decimal of a smaller scale"))?;
                match &decimal.inner {
                    InnerDecimalSchema::Bytes => Node::Decimal(None, scale),
                    InnerDecimalSchema::Fixed(fixed) => {
                        let node = Node::Decimal(Some(fixed.size), scale);
                        return self.named_node(&fixed.name, node);
                    }
                }
            }
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                return self.named_node(&fixed.name, Node::Fixed(fixed.size));
            }
            Schema::Enum(symbols) => {
                return self.named_node(&symbols.name, Node::Enum(symbols.symbols.clone()));
            }
            Schema::Array(array) => Node::Array(self.node(&array.items)?),
            Schema::Map(map) => Node::Map(self.node(&map.types)?),
            Schema::Union(union) => {
                let branches = union.variants().iter().map(|variant| self.node(variant));
                Node::Union(branches.collect::<Result<_, _>>()?)
            }
            Schema::Record(record) => {
                let place = self.reserve(&record.name)?;
                let mut members = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    members.push((field.name.clone(), self.node(&field.schema)?));
                }
                self.nodes[place] = Node::Record(members);
                return Ok(place);
            }
            Schema::Ref { name } => {
                let place = self.named.get(name).copied();
                return place.ok_or_else(|| bad_schema("every name in it to be defined"));
            }
        };
        self.push(node)
    }

    fn named_node(&mut self, name: &Name, node: Node) -> Result<usize, Fault> {
        let place = self.reserve(name)?;
        self.nodes[place] = node;
        Ok(place)
    }
}

fn bad_schema(expected: &str) -> Fault {
    Fault::new(FaultCode::BadSchema, "", expected)
}

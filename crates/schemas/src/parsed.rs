//! A schema understood: parsed with everything it refers to, and its canonical text, by which two
//! registrations of the same schema are recognised.

use crate::schema_type::{SchemaText, SchemaType};
use apache_avro::Schema;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use prost_types::FileDescriptorProto;
use protox::file::{File, FileResolver, GoogleFileResolver};
use serde_json::Value;

/// Longest text of a schema, in bytes.
const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// The file name under which a Protobuf schema without a name of its own is compiled.
const MAIN_PROTO: &str = "default.proto";

/// A parsed schema.
#[derive(Debug, Clone)]
pub(crate) enum ParsedSchema {
    /// The schema, and those it refers to.
    Avro(Box<Schema>, Vec<Schema>),
    /// The file, inside a pool with its imports.
    Protobuf(FileDescriptor),
    /// The schema, and name and value of those it refers to.
    Json(Value, Vec<(String, Value)>),
}

impl ParsedSchema {
    /// Parses a schema. The error is a sentence for whoever wrote it.
    pub(crate) fn parse(schema: &SchemaText) -> Result<Self, String> {
        let dependencies = schema.dependencies.iter();
        let len: usize = dependencies.map(|(_, text)| text.len()).sum();
        if schema.text.len() + len > SCHEMA_BYTES_MAX {
            return Err(format!("a schema has at most {SCHEMA_BYTES_MAX} bytes"));
        }
        match schema.schema_type {
            SchemaType::Avro => avro(schema),
            SchemaType::Protobuf => protobuf(schema).map(Self::Protobuf),
            SchemaType::Json => json(schema),
        }
    }

    /// The text by which equal schemas are equal: of JSON without its layout and order of keys, of
    /// Protobuf without its comments and file name.
    pub(crate) fn canonical(schema: &SchemaText, parsed: &Self) -> String {
        match parsed {
            Self::Avro(..) | Self::Json(..) => {
                let value: Result<Value, _> = serde_json::from_str(&schema.text);
                value.map_or_else(|_| schema.text.to_string(), |value| sorted(&value))
            }
            Self::Protobuf(file) => STANDARD.encode(bare(file).encode_to_vec()),
        }
    }
}

/// JSON text with the keys of every object in order, whatever map the value was read into.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut members: Vec<_> = fields.iter().collect();
            members.sort_by_key(|(name, _)| name.as_str());
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), sorted(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(list) => {
            let entries: Vec<String> = list.iter().map(sorted).collect();
            format!("[{}]", entries.join(","))
        }
        scalar => scalar.to_string(),
    }
}

fn avro(schema: &SchemaText) -> Result<ParsedSchema, String> {
    // A primitive type may be written bare, as in `string`, besides `"string"`.
    let is_json = serde_json::from_str::<Value>(&schema.text).is_ok();
    let text = if is_json {
        schema.text.to_string()
    } else {
        Value::from(schema.text.trim()).to_string()
    };
    if schema.dependencies.is_empty() {
        let parsed = Schema::parse_str(&text).map_err(|error| error.to_string())?;
        return Ok(ParsedSchema::Avro(Box::new(parsed), Vec::new()));
    }
    let dependencies = schema.dependencies.iter().map(|(_, text)| text.as_ref());
    let (parsed, dependencies) =
        Schema::parse_str_with_list(&text, dependencies).map_err(|error| error.to_string())?;
    Ok(ParsedSchema::Avro(Box::new(parsed), dependencies))
}

fn json(schema: &SchemaText) -> Result<ParsedSchema, String> {
    let value = |name: &str, text: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("{name}: {error}"))
    };
    let main = value("the schema", &schema.text)?;
    if !main.is_object() && !main.is_boolean() {
        return Err("a JSON Schema is an object, true or false".to_owned());
    }
    let mut dependencies = Vec::new();
    for (name, text) in &schema.dependencies {
        dependencies.push((name.clone(), value(name, text)?));
    }
    // Building it finds bad keywords, bad patterns and references to nowhere.
    validator(&main, &dependencies)?;
    Ok(ParsedSchema::Json(main, dependencies))
}

/// Builds the validator of a JSON Schema; references are resolved among `dependencies` alone.
pub(crate) fn validator(
    schema: &Value,
    dependencies: &[(String, Value)],
) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_base_uri(BASE_URI)
        .with_retriever(Dependencies(dependencies.to_vec()))
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| error.to_string())
}

/// What relative references of a JSON Schema are relative to.
const BASE_URI: &str = "json-schema:///";

struct Dependencies(Vec<(String, Value)>);

impl jsonschema::Retrieve for Dependencies {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let uri = uri.as_str();
        let name = uri.strip_prefix(BASE_URI).unwrap_or(uri);
        let mut known = self.0.iter();
        known
            .find(|(known, _)| known == name || known == uri)
            .map(|(_, value)| value.clone())
            .ok_or_else(|| format!("`{name}` is not among the schema's references").into())
    }
}

fn protobuf(schema: &SchemaText) -> Result<FileDescriptor, String> {
    let mut files = vec![proto_file(MAIN_PROTO, &schema.text)?];
    for (name, text) in &schema.dependencies {
        files.push(proto_file(name, text)?);
    }
    let mut compiler = protox::Compiler::with_file_resolver(ProtoFiles {
        files,
        google: GoogleFileResolver::new(),
    });
    compiler.include_imports(true);
    compiler
        .open_file(MAIN_PROTO)
        .map_err(|error| error.to_string())?;
    let pool: DescriptorPool = compiler.descriptor_pool();
    pool.get_file_by_name(MAIN_PROTO)
        .ok_or_else(|| "the file did not compile".to_owned())
}

/// A file from its source, or from the base64 of its descriptor, which is how serializers that
/// have no source send it.
fn proto_file(name: &str, text: &str) -> Result<(String, File), String> {
    let file = match descriptor_of_base64(text) {
        Some(mut descriptor) => {
            descriptor.name = Some(name.to_owned());
            File::from_file_descriptor_proto(descriptor)
        }
        None => File::from_source(name, text).map_err(|error| error.to_string())?,
    };
    Ok((name.to_owned(), file))
}

fn descriptor_of_base64(text: &str) -> Option<FileDescriptorProto> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    FileDescriptorProto::decode(bytes.as_slice()).ok()
}

struct ProtoFiles {
    files: Vec<(String, File)>,
    google: GoogleFileResolver,
}

impl FileResolver for ProtoFiles {
    fn resolve_path(&self, path: &std::path::Path) -> Option<String> {
        path.to_str().map(str::to_owned)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.files.iter().find(|(known, _)| known == name) {
            Some((_, file)) => Ok(file.clone()),
            None => self.google.open_file(name),
        }
    }
}

/// A file's descriptor without what does not change the meaning of messages.
fn bare(file: &FileDescriptor) -> FileDescriptorProto {
    fn strip(message: &mut prost_types::DescriptorProto) {
        for field in message.field.iter_mut().chain(&mut message.extension) {
            field.json_name = None;
        }
        message.nested_type.iter_mut().for_each(strip);
    }
    let mut descriptor = file.file_descriptor_proto().clone();
    descriptor.name = None;
    descriptor.source_code_info = None;
    descriptor.message_type.iter_mut().for_each(strip);
    descriptor
}

/// The base64 of a Protobuf schema's descriptor: the API's `serialized` format.
pub(crate) fn serialized(file: &FileDescriptor) -> String {
    let mut descriptor = file.file_descriptor_proto().clone();
    descriptor.source_code_info = None;
    STANDARD.encode(descriptor.encode_to_vec())
}

/// The message at a path of indexes inside a file, as registry headers give it.
pub(crate) fn message_at(file: &FileDescriptor, path: &[usize]) -> Option<MessageDescriptor> {
    let (first, nested) = path.split_first()?;
    let mut message = file.messages().nth(*first)?;
    for index in nested {
        // Map entries are messages of the descriptor too, so the index counts them.
        let child = message.child_messages().nth(*index)?;
        message = child;
    }
    Some(message)
}

//! What a service's messages are made of: a descriptor set, as `protoc --include_imports
//! --descriptor_set_out` and `buf build` write it, and messages as JSON by it.
//!
//! The JSON is protobuf's own mapping but for map fields, which stand as the lists of entries that
//! they are on the wire: so their order is kept, and a message comes back byte for byte. Whoever
//! shows the JSON makes objects of them again (`MessageType::is_map`).

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::panic;
use std::sync::Arc;

use bytes::Bytes;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, OneofDescriptorProto,
};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
};
use serde::de::Deserializer;
use sha2::{Digest as _, Sha256};

use crate::exchange::Digest;

/// Why bytes are no descriptor set that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorsError {
    #[error("it is no descriptor set")]
    NotASet,
    #[error("it describes nothing")]
    Empty,
    #[error("`{file}` imports `{import}`, which is not in it")]
    MissingImport { file: String, import: String },
    #[error("it is no sound descriptor set: {0}")]
    Unsound(String),
}

impl DescriptorsError {
    /// What the person may do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            DescriptorsError::MissingImport { .. } => {
                "`protoc` leaves imports out unless it is told `--include_imports`"
            }
            _ => {
                "make one with `protoc --include_imports --descriptor_set_out=FILE …` or \
                 `buf build -o FILE`"
            }
        }
    }
}

/// What each endpoint's services speak, by the endpoint's name.
pub type Catalog = BTreeMap<String, Arc<Descriptors>>;

/// A descriptor set. Two are equal if their bytes are.
pub struct Descriptors {
    bytes: Bytes,
    digest: Digest,
    pool: DescriptorPool,
    /// Full names of the messages that are a map field's entries.
    maps: Arc<HashSet<String>>,
}

impl Descriptors {
    /// # Errors
    /// See `DescriptorsError`.
    pub fn parse(bytes: Bytes) -> Result<Descriptors, DescriptorsError> {
        let mut set = FileDescriptorSet::decode(&*bytes).map_err(|_| DescriptorsError::NotASet)?;
        if set.file.iter().all(|file| file.name.is_none()) {
            return Err(DescriptorsError::Empty);
        }
        require_imports(&set)?;
        let mut maps = HashSet::new();
        for file in &mut set.file {
            unfold_maps(file, &mut maps);
        }
        let pool = build(set)?;
        let digest = Digest(Sha256::digest(&bytes).into());
        Ok(Descriptors { bytes, digest, pool, maps: Arc::new(maps) })
    }

    /// The set as it was read.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The method that a call's path names: `/package.Service/Method`.
    pub fn method(&self, path: &str) -> Option<Method> {
        let path = path.split('?').next().unwrap_or_default();
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let service = self.pool.get_service_by_name(service)?;
        let method = service.methods().find(|known| known.name() == method)?;
        let message = |message| MessageType { message, maps: Arc::clone(&self.maps) };
        Some(Method { input: message(method.input()), output: message(method.output()) })
    }
}

impl PartialEq for Descriptors {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Descriptors {}

impl fmt::Debug for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Descriptors").field(&self.digest).finish()
    }
}

/// What a method's messages are, in each direction.
#[derive(Clone, Debug)]
pub struct Method {
    pub input: MessageType,
    pub output: MessageType,
}

/// One kind of message.
#[derive(Clone, Debug)]
pub struct MessageType {
    message: MessageDescriptor,
    maps: Arc<HashSet<String>>,
}

/// What a field of a message holds.
#[derive(Clone, Debug)]
pub enum Holds {
    Scalar,
    Message(MessageType),
    /// A map with these entries.
    Map(MessageType),
}

impl MessageType {
    /// `package.Message`
    pub fn name(&self) -> &str {
        self.message.full_name()
    }

    /// The message as JSON text on one line, fields in the order of their numbers and those with
    /// their default left out. `None` if it is no such message, or holds what its type doesn't know.
    pub fn json(&self, bytes: &[u8]) -> Option<String> {
        let message = DynamicMessage::decode(self.message.clone(), bytes).ok()?;
        if message.encode_to_vec() != bytes {
            return None;
        }
        let mut text = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut text);
        message.serialize_with_options(&mut serializer, &SerializeOptions::new()).ok()?;
        String::from_utf8(text).ok()
    }

    /// The bytes of the message that `json` stands for.
    ///
    /// # Errors
    /// It isn't one of this type.
    pub fn bytes<'de, D: Deserializer<'de>>(&self, json: D) -> Result<Vec<u8>, D::Error> {
        DynamicMessage::deserialize(self.message.clone(), json)
            .map(|message| message.encode_to_vec())
    }

    /// The message has a JSON form of its own, as `google.protobuf.Timestamp` does.
    pub fn is_well_known(&self) -> bool {
        let name = self.message.full_name().strip_prefix("google.protobuf.");
        name.is_some_and(|name| WELL_KNOWN.contains(&name))
    }

    /// What the field holds that JSON calls so, by either of its names.
    pub fn field(&self, name: &str) -> Option<Holds> {
        let of_json = self.message.get_field_by_json_name(name);
        let field = of_json.or_else(|| self.message.get_field_by_name(name))?;
        Some(self.holds(&field))
    }

    /// The names of the fields as JSON calls them.
    pub fn field_names(&self) -> Vec<String> {
        self.message.fields().map(|field| field.json_name().to_owned()).collect()
    }

    /// Of a map's entries: their keys are booleans, which JSON's keys are not.
    pub fn has_boolean_keys(&self) -> bool {
        let key = self.message.get_field(1);
        key.is_some_and(|field| field.kind() == Kind::Bool)
    }

    /// `google.protobuf.Any`, which holds a message of a type that it names.
    pub fn is_any(&self) -> bool {
        self.message.full_name() == "google.protobuf.Any"
    }

    /// Another type of the same set, as `google.protobuf.Any` names one.
    pub fn named(&self, type_url: &str) -> Option<MessageType> {
        let name = type_url.rsplit('/').next()?;
        let message = self.message.parent_pool().get_message_by_name(name)?;
        Some(MessageType { message, maps: Arc::clone(&self.maps) })
    }

    fn holds(&self, field: &FieldDescriptor) -> Holds {
        let Kind::Message(message) = field.kind() else { return Holds::Scalar };
        let is_map = field.is_list() && self.maps.contains(message.full_name());
        let message = MessageType { message, maps: Arc::clone(&self.maps) };
        if is_map { Holds::Map(message) } else { Holds::Message(message) }
    }
}

const WELL_KNOWN: [&str; 16] = [
    "Any",
    "Timestamp",
    "Duration",
    "FloatValue",
    "DoubleValue",
    "Int32Value",
    "Int64Value",
    "UInt32Value",
    "UInt64Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
    "FieldMask",
    "Struct",
    "ListValue",
    "Value",
];

/// Some faults of a set that no compiler writes make the builder panic where it would name them.
fn build(set: FileDescriptorSet) -> Result<DescriptorPool, DescriptorsError> {
    match panic::catch_unwind(|| DescriptorPool::from_file_descriptor_set(set)) {
        Ok(built) => built.map_err(|error| DescriptorsError::Unsound(error.to_string())),
        Err(_) => Err(DescriptorsError::Unsound("it contradicts itself".to_owned())),
    }
}

fn require_imports(set: &FileDescriptorSet) -> Result<(), DescriptorsError> {
    let names: HashSet<&str> = set.file.iter().map(|file| file.name()).collect();
    for file in &set.file {
        let missing = file.dependency.iter().find(|import| !names.contains(&***import));
        if let Some(import) = missing {
            let (file, import) = (file.name().to_owned(), import.clone());
            return Err(DescriptorsError::MissingImport { file, import });
        }
    }
    Ok(())
}

/// Makes lists of entries of the map fields of a file, and notes the entries' names.
fn unfold_maps(file: &mut FileDescriptorProto, maps: &mut HashSet<String>) {
    let is_proto3 = file.syntax() == "proto3";
    let package = file.package().to_owned();
    for message in &mut file.message_type {
        unfold_message(message, &package, is_proto3, maps);
    }
}

fn unfold_message(
    message: &mut DescriptorProto,
    scope: &str,
    is_proto3: bool,
    maps: &mut HashSet<String>,
) {
    let name = match scope {
        "" => message.name().to_owned(),
        _ => format!("{scope}.{}", message.name()),
    };
    for inner in &mut message.nested_type {
        unfold_message(inner, &name, is_proto3, maps);
    }
    let Some(options) = message.options.as_mut().filter(|options| options.map_entry()) else {
        return;
    };
    options.map_entry = None;
    maps.insert(name);
    if is_proto3 {
        // Entries are written with key and value even where those have their defaults.
        for field in &mut message.field {
            let oneof = OneofDescriptorProto {
                name: Some(format!("_{}", field.name())),
                ..OneofDescriptorProto::default()
            };
            field.proto3_optional = Some(true);
            field.oneof_index = i32::try_from(message.oneof_decl.len()).ok();
            message.oneof_decl.push(oneof);
        }
    }
}

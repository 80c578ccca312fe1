//! A small service for tests, described as `protoc` would.

use std::sync::Arc;

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, MessageOptions,
    MethodDescriptorProto, ServiceDescriptorProto,
};

use super::Descriptors;

/// ```proto
/// package chat;
/// message Line {
///   string text = 1;
///   int64 id = 2;
///   map<string, int32> counts = 3;
///   map<bool, Line> replies = 4;
///   Line inner = 5;
///   repeated Line more = 6;
///   bytes raw_bytes = 7;
///   double score = 8;
///   google.protobuf.Timestamp sent = 9;
/// }
/// service Chat {
///   rpc Ask(Line) returns (Line);
///   rpc Talk(stream Line) returns (stream Line);
/// }
/// ```
pub(crate) fn set() -> FileDescriptorSet {
    let timestamp = DescriptorProto {
        name: Some("Timestamp".into()),
        field: vec![field("seconds", 1, Type::Int64), field("nanos", 2, Type::Int32)],
        ..Default::default()
    };
    let line = DescriptorProto {
        name: Some("Line".into()),
        field: vec![
            field("text", 1, Type::String),
            field("id", 2, Type::Int64),
            list(of("counts", 3, ".chat.Line.CountsEntry")),
            list(of("replies", 4, ".chat.Line.RepliesEntry")),
            of("inner", 5, ".chat.Line"),
            list(of("more", 6, ".chat.Line")),
            field("raw_bytes", 7, Type::Bytes),
            field("score", 8, Type::Double),
            of("sent", 9, ".google.protobuf.Timestamp"),
        ],
        nested_type: vec![
            entry("CountsEntry", field("key", 1, Type::String), field("value", 2, Type::Int32)),
            entry("RepliesEntry", field("key", 1, Type::Bool), of("value", 2, ".chat.Line")),
        ],
        ..Default::default()
    };
    let method = |name: &str, streams| MethodDescriptorProto {
        name: Some(name.into()),
        input_type: Some(".chat.Line".into()),
        output_type: Some(".chat.Line".into()),
        client_streaming: Some(streams),
        server_streaming: Some(streams),
        ..Default::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("Chat".into()),
        method: vec![method("Ask", false), method("Talk", true)],
        ..Default::default()
    };
    let file = |name: &str, package: &str| FileDescriptorProto {
        name: Some(name.into()),
        package: Some(package.into()),
        syntax: Some("proto3".into()),
        ..Default::default()
    };
    let times = "google/protobuf/timestamp.proto";
    FileDescriptorSet {
        file: vec![
            FileDescriptorProto { message_type: vec![timestamp], ..file(times, "google.protobuf") },
            FileDescriptorProto {
                dependency: vec![times.into()],
                message_type: vec![line],
                service: vec![service],
                ..file("chat.proto", "chat")
            },
        ],
    }
}

pub(crate) fn descriptors() -> Arc<Descriptors> {
    Arc::new(Descriptors::parse(set().encode_to_vec().into()).expect("a sound set"))
}

fn field(name: &str, number: i32, kind: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        label: Some(Label::Optional as i32),
        r#type: Some(kind as i32),
        ..Default::default()
    }
}

fn of(name: &str, number: i32, message: &str) -> FieldDescriptorProto {
    FieldDescriptorProto { type_name: Some(message.into()), ..field(name, number, Type::Message) }
}

fn list(field: FieldDescriptorProto) -> FieldDescriptorProto {
    FieldDescriptorProto { label: Some(Label::Repeated as i32), ..field }
}

fn entry(name: &str, key: FieldDescriptorProto, value: FieldDescriptorProto) -> DescriptorProto {
    DescriptorProto {
        name: Some(name.into()),
        field: vec![key, value],
        options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..Default::default()
    }
}

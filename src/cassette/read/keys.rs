//! The keys that a cassette knows, object by object, and what to say about others.
//!
//! docs/cassette.schema.json lists the same ones; a test holds the two together.

/// The keys of one kind of object.
pub(crate) struct Keys {
    /// As the schema calls the definition.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the schema's test asks"))]
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [&'static str],
}

pub(crate) const CASSETTE: Keys =
    Keys { name: "cassette", keys: &["format", "endpoints", "exchanges"] };

pub(crate) const ENDPOINT: Keys = Keys {
    name: "endpoint",
    keys: &["name", "listen", "source_type", "origin", "grpc_descriptors"],
};

pub(crate) const EXCHANGE: Keys = Keys {
    name: "exchange",
    keys: &["endpoint", "recorded_at", "request", "response", "conversation"],
};

pub(crate) const REQUEST: Keys = Keys {
    name: "request",
    keys: &["method", "target", "version", "headers", "body", "trailers", "incomplete"],
};

pub(crate) const RESPONSE: Keys = Keys {
    name: "response",
    keys: &[
        "at_ms",
        "after",
        "interim",
        "status",
        "reason",
        "version",
        "headers",
        "body",
        "trailers",
        "end",
        "reset",
        "end_after",
    ],
};

pub(crate) const INTERIM: Keys =
    Keys { name: "interim", keys: &["status", "reason", "version", "headers"] };

pub(crate) const BODY: Keys = Keys {
    name: "body",
    keys: &[
        "coding",
        "json_style",
        "json",
        "text",
        "base64",
        "file",
        "omitted",
        "stream",
        "messages",
    ],
};

pub(crate) const MESSAGE: Keys = Keys {
    name: "message",
    keys: &["at_ms", "after", "compressed", "json_style", "json", "text", "base64", "file", "rest"],
};

pub(crate) const CONVERSATION: Keys = Keys { name: "conversation", keys: &["messages", "close"] };

pub(crate) const SAID: Keys = Keys {
    name: "said",
    keys: &[
        "at_ms",
        "from",
        "type",
        "compressed",
        "json_style",
        "json",
        "text",
        "base64",
        "file",
        "omitted",
    ],
};

pub(crate) const CLOSE: Keys =
    Keys { name: "close", keys: &["at_ms", "after", "from", "code", "reason"] };

pub(crate) const PIECE: Keys = Keys { name: "piece", keys: &["at_ms", "text", "base64"] };

pub(crate) const STORED: Keys = Keys { name: "stored", keys: &["sha256", "bytes"] };

pub(crate) const BYTES: Keys = Keys { name: "bytes", keys: &["base64"] };

#[cfg(test)]
pub(crate) const ALL: [&Keys; 14] = [
    &CASSETTE,
    &ENDPOINT,
    &EXCHANGE,
    &REQUEST,
    &RESPONSE,
    &INTERIM,
    &BODY,
    &MESSAGE,
    &PIECE,
    &CONVERSATION,
    &SAID,
    &CLOSE,
    &STORED,
    &BYTES,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_the_same_keys() {
        let schema = include_str!("../../../docs/cassette.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let definitions = schema["$defs"].as_object().unwrap();
        for (name, definition) in definitions {
            let Some(properties) = definition["properties"].as_object() else { continue };
            let known = ALL.iter().find(|keys| keys.name == name).unwrap_or_else(|| {
                panic!("the reader knows no object called {name}");
            });
            let listed: Vec<&str> = properties.keys().map(String::as_str).collect();
            assert_eq!(listed, known.keys, "{name}");
            assert_eq!(definition["additionalProperties"], false, "{name}");
        }
        for keys in ALL {
            assert!(definitions.contains_key(keys.name), "the schema lacks {}", keys.name);
        }
    }
}

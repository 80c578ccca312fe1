//! Just enough reading of answers to check them: a status, a length or chunks, where the body begins.

/// More fields than any peer of the bench sends.
const FIELDS_MAX: usize = 64;

/// The head of an answer, once it is whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Bytes of the head, its empty line included.
    pub len: usize,
    pub body: BodyLength,
}

#[derive(Debug, PartialEq, Eq)]
pub enum BodyLength {
    Exactly(u64),
    Chunked,
}

/// Reads an answer's head; `None` while it isn't whole.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn read_head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("unreadable head: {error}")),
    };
    let status = response.code.unwrap_or(0);
    let field = |name: &str| {
        response.headers.iter().find(|f| f.name.eq_ignore_ascii_case(name)).map(|f| f.value)
    };
    let body = if let Some(length) = field("content-length") {
        let text = std::str::from_utf8(length).map_err(|_| "content-length isn't text")?;
        BodyLength::Exactly(text.parse().map_err(|_| format!("content-length {text:?}"))?)
    } else if field("transfer-encoding").is_some() {
        BodyLength::Chunked
    } else {
        return Err("an answer with neither length nor chunks".into());
    };
    Ok(Some(Head { status, len, body }))
}

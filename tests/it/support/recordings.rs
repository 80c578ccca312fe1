//! A folder of recordings, and what a test wants to know about it.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

/// A recording folder together with the origin that was recorded. Cheap to clone; the folder goes
/// with the last clone.
#[derive(Clone, Debug)]
pub struct Recordings {
    pub path: PathBuf,
    /// As it stood on the command line; replay gets the same.
    pub origin: Option<String>,
    /// Keeps the folder alive.
    _folder: Arc<TempDir>,
}

impl Recordings {
    pub fn new(path: PathBuf, origin: Option<String>, folder: Arc<TempDir>) -> Self {
        Recordings { path, origin, _folder: folder }
    }

    /// Every file, as a path relative to the folder, sorted.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        if self.path.exists() {
            walk(&self.path, &mut |path| {
                if path.is_file() {
                    files.push(path.strip_prefix(&self.path).unwrap().display().to_string());
                }
            });
        }
        files.sort();
        files
    }

    /// Files that a running or killed recorder left, by their ending (`.tape`, `.body`).
    pub fn unsealed(&self) -> Vec<String> {
        let left = |file: &String| file.ends_with(".tape") || file.ends_with(".body");
        self.files().into_iter().filter(left).collect()
    }

    #[track_caller]
    pub fn cassette_text(&self, session: &str) -> String {
        let path = self.path.join(format!("{session}.json"));
        fs::read_to_string(&path)
            .unwrap_or_else(|e| panic!("{}: {e}; there are {:?}", path.display(), self.files()))
    }

    #[track_caller]
    pub fn cassette(&self, session: &str) -> Value {
        let text = self.cassette_text(session);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e} in {text}"))
    }

    /// Edits a cassette as a person would: the text as a whole.
    #[track_caller]
    pub fn edit(&self, session: &str, change: impl FnOnce(String) -> String) {
        let text = self.cassette_text(session);
        let changed = change(text.clone());
        assert_ne!(text, changed, "the edit found nothing to change");
        fs::write(self.path.join(format!("{session}.json")), changed).unwrap();
    }

    /// Files that hold these bytes anywhere, tapes and bodies included.
    pub fn files_with(&self, needle: &str) -> Vec<String> {
        let holds = |file: &String| {
            let bytes = fs::read(self.path.join(file)).unwrap_or_default();
            memchr::memmem::find(&bytes, needle.as_bytes()).is_some()
        };
        self.files().into_iter().filter(holds).collect()
    }

    /// Every file and folder, the top one included, with its permission bits.
    pub fn modes(&self) -> Vec<(PathBuf, bool, u32)> {
        use std::os::unix::fs::PermissionsExt;
        let mut modes = Vec::new();
        walk(&self.path, &mut |path| {
            let meta = fs::metadata(path).unwrap();
            modes.push((path.to_owned(), meta.is_dir(), meta.permissions().mode() & 0o777));
        });
        modes
    }
}

impl Deref for Recordings {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.path
    }
}

fn walk(path: &Path, see: &mut dyn FnMut(&Path)) {
    see(path);
    if path.is_dir() {
        // A file may go while a seal is under way.
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            walk(&entry.path(), see);
        }
    }
}

//! What is measured.

use std::fmt;

/// A body, ready to be run any number of times.
pub(crate) type Body = Box<dyn FnMut()>;

#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How many of what the name says one run does: exchanges, chunks.
    pub(crate) items: u64,
    /// Makes what the body needs.
    pub(crate) prepare: fn() -> Body,
}

impl Case {
    pub(crate) const fn new(name: &'static str, prepare: fn() -> Body) -> Case {
        Case::of(1, name, prepare)
    }

    pub(crate) const fn of(items: u64, name: &'static str, prepare: fn() -> Body) -> Case {
        Case { name, items, prepare }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

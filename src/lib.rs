//! Ouli: a record/replay proxy.

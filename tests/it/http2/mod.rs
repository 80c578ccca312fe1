//! HTTP/2 to clients and to origins, and every way in which versions can meet.

mod connections;
mod drain;
mod heads;
mod interim;
mod pairings;
mod refused;
mod resets;
mod sessions;
mod streams;
mod versions;

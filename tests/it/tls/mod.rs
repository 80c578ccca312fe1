//! TLS with clients and with origins.

mod authority;
mod clients;
mod mutual;
mod origins;
mod programs;

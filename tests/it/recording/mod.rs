//! What stands on the disk: after a kill, between the steps of a seal, and for good.

mod bodies;
mod disk;
mod edited;
mod killed;
mod redaction;
mod sealing;
mod shared_folder;
mod slow_seal;

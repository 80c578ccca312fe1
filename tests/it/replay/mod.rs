//! Answers from recordings: which, how fast, and what a request without one gets.

mod broken;
mod choice;
mod matching;
mod miss;
mod offline;
mod pace;
mod stored;
mod unfinished;

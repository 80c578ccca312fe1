//! Answers from recordings: which, how fast, and what a request without one gets.

mod broken;
mod choice;
mod large;
mod matching;
mod miss;
mod offline;
mod pace;
mod stored;
mod unfinished;

//! What the configuration promises, wish by wish.

mod arbitrary;
mod certificates;
mod environment;
mod explain;
mod harness;
mod https;
mod print;
mod refusals;
mod rules;
mod slips;
mod takeover;

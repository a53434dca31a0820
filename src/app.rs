//! Wiring: builds every floor once, runs, stops.

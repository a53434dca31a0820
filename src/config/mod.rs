//! File and environment to the floors' own `Settings`.

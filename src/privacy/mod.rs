//! Privacy signals in, verdict out. Pure: no clock, no lock, no lookup.

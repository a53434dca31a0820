//! Load: a corpus of bid requests and a driver that sends it.

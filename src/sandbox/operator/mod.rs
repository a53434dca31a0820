//! The sandbox operator: the real salt, hash and encryption process.

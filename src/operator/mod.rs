//! The UID2 operator as a partner: generate and refresh.

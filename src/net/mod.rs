//! Sockets, TLS, pools, bodies, back-off.

//! Demand partners: an endpoint's settings and the client that asks it for bids.

//! OpenRTB 2.x as bytes and spans: one strict scan, edits as splices, answers merged from raw slices.

//! The policy as a whole: every row for both identities, and hostile input.

mod hostile;
mod rows;
mod tcf;

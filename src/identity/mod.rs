//! Cache, store and operator as one question: who is this, and may we say so?

//! JSON as a tree that forgets white space and nothing else: scalars and names keep their text, members their order, and
//! a name may stand twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value.
#[derive(Clone)]
pub(crate) struct Tree {
    /// As it was written, white space inside included; empty for what an edit made.
    pub(crate) written: String,
    pub(crate) node: Node,
}

/// What a value is.
#[derive(Clone, PartialEq)]
pub(crate) enum Node {
    /// A number, string, boolean or null, as text.
    Scalar(String),
    Array(Vec<Tree>),
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Clone, PartialEq)]
pub(crate) struct Member {
    /// The name as text, quotes included.
    name: String,
    pub(crate) value: Tree,
}

/// White space is no difference.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Tree {
    /// Panics on what is no JSON.
    pub(crate) fn parse(text: &str) -> Self {
        let raw = serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        Self::read(raw)
    }

    fn read(raw: &RawValue) -> Self {
        let written = raw.get().to_owned();
        let node = match written.as_bytes()[0] {
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(&written).unwrap();
                Node::Array(items.into_iter().map(Self::read).collect())
            }
            b'{' => {
                let Pairs(pairs) = serde_json::from_str(&written).unwrap();
                let member = |(name, value): (String, &RawValue)| Member { name, value: Self::read(value) };
                Node::Object(pairs.into_iter().map(member).collect())
            }
            _ => Node::Scalar(written.clone()),
        };
        Self { written, node }
    }

    /// A list that an edit made.
    pub(crate) fn array(items: Vec<Self>) -> Self {
        Self { written: String::new(), node: Node::Array(items) }
    }

    /// The value, unless it is null.
    pub(crate) fn unless_null(&self) -> Option<&Self> {
        (self.node != Node::Scalar("null".into())).then_some(self)
    }

    /// The text of a string; a lone surrogate has none.
    pub(crate) fn string(&self) -> Option<String> {
        match &self.node {
            Node::Scalar(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    pub(crate) fn is_string(&self) -> bool {
        matches!(&self.node, Node::Scalar(text) if text.starts_with('"'))
    }

    pub(crate) fn items(&self) -> Option<&Vec<Self>> {
        match &self.node {
            Node::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn members(&self) -> Option<&Vec<Member>> {
        match &self.node {
            Node::Object(members) => Some(members),
            _ => None,
        }
    }

    pub(crate) fn members_mut(&mut self) -> Option<&mut Vec<Member>> {
        match &mut self.node {
            Node::Object(members) => Some(members),
            _ => None,
        }
    }

    /// A member's value; `None` where there is none, or no object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.members()?.iter().rfind(|member| member.is(name)).map(|member| &member.value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.members_mut()?.iter_mut().rfind(|member| member.is(name)).map(|member| &mut member.value)
    }

    /// Gives a member its value, where it stands or at the end of the object.
    pub(crate) fn set(&mut self, name: &str, value: Self) {
        match self.get_mut(name) {
            Some(there) => *there = value,
            None => {
                let name = format!("\"{name}\"");
                self.members_mut().expect("an object").push(Member { name, value });
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(members) = self.members_mut() {
            members.retain(|member| !member.is(name));
        }
    }

    /// The object that a member is; made of null, or where there is none.
    pub(crate) fn object(&mut self, name: &str) -> &mut Self {
        if self.get(name).and_then(Self::unless_null).is_none() {
            self.set(name, Self { written: String::new(), node: Node::Object(Vec::new()) });
        }
        self.get_mut(name).expect("it was made")
    }
}

impl Member {
    /// Whether this is its name, however it is spelled.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.says().is_some_and(|own| own == name)
    }

    /// Its name, read.
    pub(crate) fn says(&self) -> Option<String> {
        serde_json::from_str(&self.name).ok()
    }

    /// Whether both names are written alike.
    pub(crate) fn named_as(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Compact.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Scalar(text) => f.write_str(text),
            Node::Array(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(","))
            }
            Node::Object(members) => {
                let members = members.iter().map(|Member { name, value }| format!("{name}:{value}"));
                write!(f, "{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// An object's members in their order, names as text.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    pairs.push((name.get().to_owned(), value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[test]
fn text_order_and_repetition_survive_and_white_space_does_not() {
    let text = r#"{ "b" : [1e400, -0, 0.10, "\u0061\ud800"],"\u0062":1,"a":{},"a":null }"#;
    let tree = Tree::parse(text);
    assert_eq!(tree.to_string(), r#"{"b":[1e400,-0,0.10,"\u0061\ud800"],"\u0062":1,"a":{},"a":null}"#);
    assert!(tree == Tree::parse(&tree.to_string()));
    for other in [text.replace("0.10", "0.1"), text.replace("-0", "0"), text.replace(r"\u0061", "a")] {
        assert!(tree != Tree::parse(&other), "{other}");
    }
}

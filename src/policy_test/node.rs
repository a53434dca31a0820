//! A JSON document whose members keep their order, as far as requests are built with it: with it the expected bytes are
//! written without a line of the code that edits requests.

use serde_json::Value;

/// A value: text as it stands, or an object that can be changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Text(String),
    Object(Vec<(String, Node)>),
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), Self::from(value))).collect())
            }
            other => Self::Text(other.to_string()),
        }
    }
}

impl Node {
    /// Writes `value` at a path of member names: over what is there, else at the end. Objects on the way are made.
    pub(super) fn set(&mut self, path: &[&str], value: Self) {
        let [name, rest @ ..] = path else {
            *self = value;
            return;
        };
        if !matches!(self, Self::Object(_)) {
            *self = Self::Object(Vec::new());
        }
        let Self::Object(members) = self else { return };
        let at = members.iter().position(|(there, _)| there == name).unwrap_or_else(|| {
            members.push(((*name).to_owned(), Self::Object(Vec::new())));
            members.len() - 1
        });
        members[at].1.set(rest, value);
    }

    /// The value at a path.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        let [name, rest @ ..] = path else { return Some(self) };
        let Self::Object(members) = self else { return None };
        members.iter().find(|(there, _)| there == name)?.1.at(rest)
    }

    /// Takes a member out, if it is there.
    pub(super) fn remove(&mut self, path: &[&str]) {
        let ([name, rest @ ..], Self::Object(members)) = (path, self) else { return };
        match (rest, members.iter().position(|(there, _)| there == name)) {
            ([], Some(at)) => drop(members.remove(at)),
            (rest, Some(at)) => members[at].1.remove(rest),
            (_, None) => {}
        }
    }

    /// The document's text, without white space.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, node)| format!("{}:{}", Value::from(name.as_str()), node.text()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(value: &str) -> Node {
        Node::Text(value.to_owned())
    }

    #[test]
    fn members_keep_their_places() {
        let mut node = Node::from(&json!({"a": 1, "b": {"c": [1, 2]}}));
        node.set(&["z"], text("0"));
        node.set(&["b", "d", "e"], text("\"x\""));
        node.set(&["a"], text("7"));
        assert_eq!(node.text(), r#"{"a":7,"b":{"c":[1,2],"d":{"e":"x"}},"z":0}"#);
        node.remove(&["b", "c"]);
        node.remove(&["b", "d", "e"]);
        node.remove(&["nothing", "there"]);
        assert_eq!(node.text(), r#"{"a":7,"b":{"d":{}},"z":0}"#);
    }
}

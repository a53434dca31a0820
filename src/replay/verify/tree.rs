//! JSON as a tree over its own text: numbers, strings and names keep the way they are written, members their order, a
//! name may stand twice, and the white space between members is known.
//!
//! A reader of its own on purpose: what the gateway's scanner and splicer get wrong must not be judged by them.

use serde::de::IgnoredAny;

/// Deeper nesting is not read.
const DEEPEST: usize = 200;

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Tree<'a> {
    /// As it is written, white space inside included.
    pub(super) text: &'a str,
    /// In an array: what stands between the element before, or the bracket, and this one; commas included.
    pub(super) gap: &'a str,
    /// Of an object or array: what stands before its closing brace or bracket.
    pub(super) tail: &'a str,
    pub(super) node: Node<'a>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// A number, string, boolean or null.
    Scalar,
    Array(Vec<Tree<'a>>),
    Object(Vec<Member<'a>>),
}

/// A member of an object.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    /// What stands between the value before, or the brace, and the name; commas included.
    pub(super) gap: &'a str,
    /// The name as it is written, quotes included.
    pub(super) written: &'a str,
    /// What stands between name and value.
    pub(super) colon: &'a str,
    pub(super) value: Tree<'a>,
}

impl<'a> Tree<'a> {
    /// Reads a document; `None` when it is no JSON, or nested too deeply.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        // Grammar is somebody else's business: below, the text is known to be JSON.
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        let mut reader = Reader { text, at: 0 };
        reader.blank();
        reader.value(0)
    }

    /// Whether it is there and not null.
    pub(super) fn is_null(&self) -> bool {
        self.text == "null"
    }

    /// A string's text, decoded; `None` for other values and for a lone surrogate.
    pub(super) fn string(&self) -> Option<String> {
        serde_json::from_str(self.text).ok()
    }

    /// A whole number that is not negative, written as one.
    pub(super) fn number(&self) -> Option<u64> {
        self.text.parse().ok()
    }

    pub(super) fn items(&self) -> Option<&[Self]> {
        if let Node::Array(items) = &self.node { Some(items) } else { None }
    }

    pub(super) fn members(&self) -> Option<&[Member<'a>]> {
        if let Node::Object(members) = &self.node { Some(members) } else { None }
    }

    /// The value of a member; of several with the name, the last.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.members()?.iter().rfind(|member| member.is(name)).map(|member| &member.value)
    }

    /// The value of a member of a member …, unless it is null.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, name| tree.get(name)).filter(|tree| !tree.is_null())
    }
}

impl Member<'_> {
    /// Whether this is its name, however it is spelled.
    pub(super) fn is(&self, name: &str) -> bool {
        let plain = self.written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match plain {
            Some(plain) if !plain.contains('\\') => plain == name,
            _ => self.name().is_some_and(|own| own == name),
        }
    }

    /// Its name, decoded.
    pub(super) fn name(&self) -> Option<String> {
        serde_json::from_str(self.written).ok()
    }
}

/// Walks a text that is JSON.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn blank(&mut self) {
        while self.peek().is_ascii_whitespace() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<Tree<'a>> {
        let start = self.at;
        let (node, tail) = match self.peek() {
            _ if depth > DEEPEST => return None,
            b'{' => self.members(depth)?,
            b'[' => self.items(depth)?,
            b'"' => (self.string(), ""),
            _ => (self.word(), ""),
        };
        Some(Tree { text: self.since(start), gap: "", tail, node })
    }

    fn items(&mut self, depth: usize) -> Option<(Node<'a>, &'a str)> {
        let mut items = Vec::new();
        self.at += 1;
        let mut gap = self.at;
        loop {
            self.blank();
            match self.peek() {
                b']' => break,
                b',' => self.at += 1,
                _ => {
                    let before = self.since(gap);
                    items.push(Tree { gap: before, ..self.value(depth + 1)? });
                    gap = self.at;
                }
            }
        }
        let tail = self.since(gap);
        self.at += 1;
        Some((Node::Array(items), tail))
    }

    fn members(&mut self, depth: usize) -> Option<(Node<'a>, &'a str)> {
        let mut members = Vec::new();
        self.at += 1;
        let mut gap = self.at;
        loop {
            self.blank();
            match self.peek() {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    members.push(self.member(gap, depth)?);
                    gap = self.at;
                }
            }
        }
        let tail = self.since(gap);
        self.at += 1;
        Some((Node::Object(members), tail))
    }

    fn member(&mut self, gap: usize, depth: usize) -> Option<Member<'a>> {
        let gap = self.since(gap);
        let name = self.at;
        self.string();
        let written = self.since(name);
        let colon = self.at;
        while self.peek().is_ascii_whitespace() || self.peek() == b':' {
            self.at += 1;
        }
        let colon = self.since(colon);
        Some(Member { gap, written, colon, value: self.value(depth + 1)? })
    }

    fn string(&mut self) -> Node<'a> {
        self.at += 1;
        while self.peek() != b'"' {
            self.at += if self.peek() == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        Node::Scalar
    }

    fn word(&mut self) -> Node<'a> {
        while !matches!(self.peek(), b',' | b']' | b'}' | 0) && !self.peek().is_ascii_whitespace() {
            self.at += 1;
        }
        Node::Scalar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_keeps_the_way_it_is_written() {
        let text = "\n{ \"a\" : 1.10 ,\n\"b\":[ -0e3,\"x\\\"]\" ,{}, [] ],\"\\u0063\":null}  ";
        let tree = Tree::parse(text.as_bytes()).unwrap();
        assert_eq!(tree.text, text.trim());
        let members = tree.members().unwrap();
        let list = tree.get("b").unwrap();
        let gaps: Vec<&str> = list.items().unwrap().iter().map(|item| item.gap).collect();
        assert_eq!((gaps, list.tail, tree.tail), (vec![" ", ",", " ,", ", "], " ", ""));
        assert_eq!((members[0].gap, members[0].colon, members[0].value.text), (" ", " : ", "1.10"));
        assert_eq!((members[1].gap, members[1].written), (" ,\n", "\"b\""));
        let items: Vec<&str> = tree.get("b").unwrap().items().unwrap().iter().map(|i| i.text).collect();
        assert_eq!(items, ["-0e3", "\"x\\\"]\"", "{}", "[]"]);
        assert!(members[2].is("c") && tree.get("c").unwrap().is_null() && tree.at(&["c"]).is_none());
    }

    #[test]
    fn of_two_members_the_last_counts() {
        let tree = Tree::parse(br#"{"a":1,"a":{"b":2}}"#).unwrap();
        assert_eq!(tree.at(&["a", "b"]).and_then(Tree::number), Some(2));
        assert_eq!(tree.members().unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_json_and_what_is_too_deep_is_not_read() {
        for text in ["", "{", "{}x", "[1,]", "{\"a\":01}", "\u{feff}{}"] {
            assert!(Tree::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Tree::parse(b"\"\xff\"").is_none());
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Tree::parse(nested(DEEPEST).as_bytes()).is_some());
        assert!(Tree::parse(nested(DEEPEST + 1).as_bytes()).is_none());
    }

    #[test]
    fn scalars_stand_alone() {
        for text in ["1", "\"a\"", "true", "null"] {
            assert_eq!(Tree::parse(text.as_bytes()).unwrap().text, text);
        }
        assert_eq!(Tree::parse(b"\"\\ud800\"").unwrap().string(), None);
    }
}

//! Reads a flattened device tree in place (Devicetree Specification 0.4 chapter 5).
//!
//! The tree is a list of 32-bit big-endian tokens: a node begins (with its name), a property (length, offset of its name in
//! the strings block, value), a node ends, nothing, the end. [`Tree::new`] walks the whole list once; what it accepts can be walked
//! again without surprises, and should it not be, a walk ends early: nothing here indexes without asking.
//!
//! The usual parser crates were tried first. They hold names to the 31 characters that the specification wishes for, and real PAPR
//! trees have longer ones (`ibm,associativity-reference-points`).

/// Why bytes are not a device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The header's blocks do not lie inside the tree.
    Header,
    /// The version is not compatible with 16.
    Version(u32),
    /// A token that does not exist, or stands where it must not; at this offset in the structure block.
    Token(usize),
    /// A property or name that runs over its block's end.
    Overrun(usize),
    /// Nodes nested deeper than anything real.
    Depth(usize),
}

/// Deepest nesting that is followed.
const DEEPEST: usize = 32;
/// Bytes of a version 17 header.
const HEADER: usize = 40;

/// A device tree that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
}

/// A node of it.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    tree: Tree<'a>,
    /// Its name, with unit address.
    pub name: &'a str,
    /// Where its properties begin.
    body: usize,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Begin(&'a str),
    Property(&'a str, &'a [u8]),
    End,
    Nothing,
    Finish,
}

impl<'a> Tree<'a> {
    /// Checks the tree in `bytes`, all of it.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let word = |index: usize| be32(bytes, index * 4).ok_or(Malformed::Header);
        if bytes.len() < HEADER {
            return Err(Malformed::Header);
        }
        // Version 17 has the size of the structure block, and every producer in use writes it.
        if word(5)? < 17 || word(6)? > 17 {
            return Err(Malformed::Version(word(5)?));
        }
        let structure = block(bytes, word(2)?, word(9)?)?;
        let strings = block(bytes, word(3)?, word(8)?)?;
        let tree = Self { structure, strings };
        tree.check()?;
        Ok(tree)
    }

    /// Walks all tokens: nesting, ends, and nothing behind the root.
    fn check(self) -> Result<(), Malformed> {
        let (mut at, mut depth) = (0, 0_usize);
        loop {
            let (token, next) = self.token(at)?;
            match token {
                Token::Begin(_) if depth == DEEPEST => return Err(Malformed::Depth(at)),
                Token::Begin(_) if depth > 0 || at == 0 => depth += 1,
                Token::End if depth > 0 => depth -= 1,
                Token::Property(..) if depth > 0 => {}
                Token::Nothing => {}
                Token::Finish if depth == 0 && at > 0 => return Ok(()),
                _ => return Err(Malformed::Token(at)),
            }
            at = next;
        }
    }

    /// The token at `at`, and where the next one is.
    fn token(self, at: usize) -> Result<(Token<'a>, usize), Malformed> {
        let overrun = Malformed::Overrun(at);
        match be32(self.structure, at).ok_or(overrun)? {
            1 => {
                let name = text(self.structure, at + 4).ok_or(overrun)?;
                Ok((Token::Begin(name), (at + 4 + name.len() + 1).next_multiple_of(4)))
            }
            2 => Ok((Token::End, at + 4)),
            3 => {
                let length = be32(self.structure, at + 4).ok_or(overrun)? as usize;
                let name = be32(self.structure, at + 8).ok_or(overrun)? as usize;
                let value = self.structure.get(at + 12..at + 12 + length).ok_or(overrun)?;
                let name = text(self.strings, name).ok_or(overrun)?;
                Ok((Token::Property(name, value), (at + 12 + length).next_multiple_of(4)))
            }
            4 => Ok((Token::Nothing, at + 4)),
            9 => Ok((Token::Finish, at + 4)),
            _ => Err(Malformed::Token(at)),
        }
    }

    /// The root node.
    #[must_use]
    pub fn root(self) -> Node<'a> {
        let body = self.token(0).map_or(self.structure.len(), |(_, next)| next);
        Node { tree: self, name: "", body }
    }
}

impl<'a> Node<'a> {
    /// The name without the unit address.
    #[must_use]
    pub fn base_name(&self) -> &'a str {
        self.name.split('@').next().unwrap_or(self.name)
    }

    /// A property's value.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a [u8]> {
        let mut at = self.body;
        loop {
            match self.tree.token(at).ok()? {
                (Token::Property(found, value), _) if found == name => return Some(value),
                (Token::Property(..) | Token::Nothing, next) => at = next,
                _ => return None,
            }
        }
    }

    /// The nodes directly below.
    pub fn children(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let tree = self.tree;
        let mut at = self.body;
        core::iter::from_fn(move || {
            // 0 at the level of the node's own properties; 1 inside a child that was given out, or is being skipped.
            let mut depth = 0_usize;
            let mut found = None;
            loop {
                let (token, next) = tree.token(at).ok()?;
                match token {
                    Token::Begin(name) if depth == 0 && found.is_none() => {
                        found = Some(Node { tree, name, body: next });
                        depth = 1;
                    }
                    Token::Begin(_) => depth += 1,
                    Token::End if depth == 0 => return None,
                    Token::End => depth -= 1,
                    Token::Finish => return None,
                    Token::Property(..) | Token::Nothing => {}
                }
                at = next;
                if depth == 0 && found.is_some() {
                    return found;
                }
            }
        })
    }

    /// The first node directly below with this name (unit address left out).
    #[must_use]
    pub fn child(&self, name: &str) -> Option<Node<'a>> {
        self.children().find(|child| child.base_name() == name)
    }
}

/// The big-endian word at `at`.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// The zero-terminated string at `at`.
fn text(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    core::str::from_utf8(&rest[..end]).ok()
}

/// The block of `size` bytes at `at`.
fn block(bytes: &[u8], at: u32, size: u32) -> Result<&[u8], Malformed> {
    let (at, size) = (at as usize, size as usize);
    bytes.get(at..at + size).ok_or(Malformed::Header)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use vm_fdt::FdtWriter;

    /// A small machine's tree, as a producer of trees writes it.
    fn machine() -> Vec<u8> {
        let mut writer = FdtWriter::new().expect("a writer");
        let root = writer.begin_node("").expect("the root");
        writer.property_string("model", "a machine").expect("a property");
        for (name, base) in [("memory@0", 0u64), ("memory@40000000", 0x4000_0000)] {
            let node = writer.begin_node(name).expect("a node");
            writer.property_array_u64("reg", &[base, 0x4000_0000]).expect("a property");
            writer.end_node(node).expect("its end");
        }
        let vdevice = writer.begin_node("vdevice").expect("a node");
        let vty = writer.begin_node("vty@71000000").expect("a node");
        writer.property_u32("reg", 0x7100_0000).expect("a property");
        writer.end_node(vty).expect("its end");
        writer.end_node(vdevice).expect("its end");
        writer.end_node(root).expect("its end");
        writer.finish().expect("a tree")
    }

    /// Looks at everything that a tree has, as deep as it goes; how many nodes that was.
    fn visit(node: Node<'_>) -> usize {
        let _looked_for = (node.property("reg"), node.property("no such property"), node.base_name());
        1 + node.children().map(visit).sum::<usize>()
    }

    #[test]
    fn nodes_and_properties_are_found_where_they_were_put() {
        let bytes = machine();
        let root = Tree::new(&bytes).expect("a good tree").root();
        assert_eq!(visit(root), 5);
        assert_eq!(root.property("model"), Some(&b"a machine\0"[..]));
        assert_eq!(root.property("reg"), None, "a child's property is not the parent's");
        let bases: Vec<_> = root.children().filter(|node| node.base_name() == "memory").map(|node| node.name).collect();
        assert_eq!(bases, ["memory@0", "memory@40000000"]);
        let vty = root.child("vdevice").and_then(|node| node.child("vty")).expect("the terminal");
        assert_eq!(vty.property("reg"), Some(&[0x71, 0, 0, 0][..]));
    }

    #[test]
    fn a_tree_that_is_cut_off_anywhere_is_refused() {
        let bytes = machine();
        for length in 0..bytes.len() {
            let cut = Tree::new(&bytes[..length]);
            assert!(cut.is_err() || length > bytes.len() - 8, "{length} of {} bytes", bytes.len());
        }
    }

    #[test]
    fn a_tree_that_is_too_deep_or_unbalanced_is_refused() {
        let with_structure = |tokens: &[u32]| {
            let structure: Vec<u8> = tokens.iter().flat_map(|token| token.to_be_bytes()).collect();
            let size = structure.len() as u32;
            let header = [0xd00d_feed, 40 + size, 40, 40 + size, 0, 17, 16, 0, 0, size];
            let mut bytes: Vec<u8> = header.iter().flat_map(|word: &u32| word.to_be_bytes()).collect();
            bytes.extend(structure);
            Tree::new(&bytes).map(|_| ()).map_err(|why| core::mem::discriminant(&why))
        };
        let is = |why: Malformed| Err(core::mem::discriminant(&why));
        assert_eq!(with_structure(&[1, 0, 2, 9]), Ok(()));
        assert_eq!(with_structure(&[1, 0, 9]), is(Malformed::Token(8)));
        assert_eq!(with_structure(&[1, 0, 2, 2, 9]), is(Malformed::Token(12)));
        assert_eq!(with_structure(&[1, 0, 2, 1, 0, 2, 9]), is(Malformed::Token(12)), "a second root");
        assert_eq!(with_structure(&[1, 0, 7, 2, 9]), is(Malformed::Token(8)));
        assert_eq!(with_structure(&[1, 0, 2]), is(Malformed::Overrun(12)));
        let mut deep = [1, 0].repeat(DEEPEST + 1);
        deep.extend([2; DEEPEST + 1]);
        deep.push(9);
        assert_eq!(with_structure(&deep), is(Malformed::Depth(0)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(tree) = Tree::new(&bytes) {
                visit(tree.root());
            }
        }

        #[test]
        fn no_damage_to_a_good_tree_makes_the_reader_panic(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = machine();
            for (place, value) in damage {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if let Ok(tree) = Tree::new(&bytes) {
                visit(tree.root());
            }
        }
    }
}

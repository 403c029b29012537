//! What each file of a crate imports from other files of it.
//!
//! A `use` and a path in the code count alike, and so does a path in the tokens of a macro's invocation. What counts as
//! imported is the file that defines the item, whichever re-export the path goes through. The re-exports of a module from
//! the modules inside of it are not imports.
//!
//! A call of a method names no path, so it is not seen: an `impl` block in another file than its type's hides what it
//! depends on.

use std::cmp::Reverse;
use std::path::PathBuf;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Expr, ExprCall, ItemMod, ItemUse, Macro, Path, Visibility};

use crate::source::{Source, Target, leaves};

/// An import of one file by another.
#[derive(Clone, Debug)]
pub(super) struct Import {
    /// The file that imports, relative to the crate's `src`.
    pub(super) from: PathBuf,
    pub(super) line: usize,
    /// The path, as it is written.
    pub(super) path: String,
    /// The file that defines what is imported.
    pub(super) to: PathBuf,
    /// The top-level module that imports; `None` for the crate's root.
    pub(super) from_module: Option<String>,
    pub(super) to_module: Option<String>,
}

/// Returns all imports among the files of a crate, sorted by file and line.
pub(super) fn imports(source: &Source) -> Vec<Import> {
    let mut found = Vec::new();
    for index in 0..source.modules.len() {
        let mut finder = Finder {
            source,
            module: index,
            found: &mut found,
        };
        for item in &source.modules[index].items {
            finder.visit_item(item);
        }
    }
    // Of several in one line the longest says most.
    found.sort_by(|a, b| key(a).cmp(&key(b)));
    found.dedup_by(|a, b| place(a) == place(b));
    found
}

/// What a file imports in a line. A file that two modules share imports for each of them.
fn place(import: &Import) -> (&PathBuf, usize, &PathBuf, &Option<String>) {
    (&import.from, import.line, &import.to, &import.from_module)
}

type Key<'a> = (
    (&'a PathBuf, usize, &'a PathBuf, &'a Option<String>),
    Reverse<usize>,
);

fn key(import: &Import) -> Key<'_> {
    (place(import), Reverse(import.path.len()))
}

struct Finder<'a> {
    source: &'a Source,
    module: usize,
    found: &'a mut Vec<Import>,
}

impl Finder<'_> {
    /// Records what a path names, if another file defines it.
    fn record(&mut self, path: &[String], line: usize, target: &Target) {
        let to = match target {
            Target::Item { module, .. } => *module,
            // A module is imported for what is in it: the paths that go through it count.
            Target::Module(_) | Target::External(_) => return,
        };
        self.record_module(path, line, to);
    }

    fn record_module(&mut self, path: &[String], line: usize, to: usize) {
        let (from, to) = (&self.source.modules[self.module], &self.source.modules[to]);
        if from.file != to.file {
            self.found.push(Import {
                from: from.file.clone(),
                line,
                path: path.join("::"),
                to: to.file.clone(),
                from_module: from.path.first().cloned(),
                to_module: to.path.first().cloned(),
            });
        }
    }

    /// Tells whether something is defined inside of this module: in it, or in a module below.
    fn is_inside(&self, target: &Target) -> bool {
        let (Target::Module(module) | Target::Item { module, .. }) = target else {
            return false;
        };
        let own = &self.source.modules[self.module].path;
        self.source.modules[*module].path.starts_with(own)
    }

    fn path_in_code(&mut self, path: &[String], line: usize) {
        let target = self.source.resolve(self.module, path);
        self.record(path, line, &target);
    }

    /// Finds the paths in the tokens of a macro's invocation, which are no syntax yet.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut index = 0;
        while index < tokens.len() {
            match &tokens[index] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let path = path_at(&tokens[index..]);
                    let before = index.checked_sub(1).map(|before| &tokens[before]);
                    let is_part =
                        before.is_some_and(|token| is_punct(token, '.') || is_punct(token, ':'));
                    if !is_part && (path.len() > 1 || is_type_name(&path[0])) {
                        self.path_in_code(&path, first.span().start().line);
                    }
                    // Two colons between each two words.
                    index += 3 * (path.len() - 1);
                }
                _ => {}
            }
            index += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {
        // It is a module of its own.
    }

    fn visit_item_use(&mut self, declaration: &'ast ItemUse) {
        for leaf in leaves(declaration) {
            let target = self.source.resolve(self.module, &leaf.path);
            if leaf.is_reexport && self.is_inside(&target) {
                continue;
            }
            match target {
                Target::Module(module) if leaf.is_glob => {
                    let mut path = leaf.path;
                    path.push("*".to_owned());
                    self.record_module(&path, leaf.line, module);
                }
                target => self.record(&leaf.path, leaf.line, &target),
            }
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(in crate::a)` imports nothing.
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            let words: Vec<String> = segments.map(|one| one.ident.to_string()).collect();
            let line = path.segments[0].ident.span().start().line;
            if words.len() > 1 || is_type_name(&words[0]) {
                self.path_in_code(&words, line);
            }
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func
            && let Some(name) = function.path.get_ident()
        {
            self.path_in_code(&[name.to_string()], name.span().start().line);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        visit::visit_macro(self, invoked);
        self.tokens(invoked.tokens.clone());
    }
}

/// Tells whether a single word is the name of a type, a constant or a variant, and not of a variable.
fn is_type_name(word: &str) -> bool {
    word != "Self" && word.starts_with(|letter: char| letter.is_ascii_uppercase())
}

/// Reads the path that begins with the first token, which is a word.
fn path_at(tokens: &[TokenTree]) -> Vec<String> {
    let mut path = vec![tokens[0].to_string()];
    let mut rest = &tokens[1..];
    while let [first, second, TokenTree::Ident(word), after @ ..] = rest {
        if !(is_punct(first, ':') && is_punct(second, ':')) {
            break;
        }
        path.push(word.to_string());
        rest = after;
    }
    path
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

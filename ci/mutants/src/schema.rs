//! All mutants of a file in one text, of which a run chooses one: a mutant schema
//! (R. H. Untch, A. J. Offutt, M. J. Harrold, "Mutation Analysis Using Mutant Schemata", 1993).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::list::{Mutant, byte};

/// What is not, or cannot be, built in.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    /// Mutants that the compiler does not accept, by number.
    pub(crate) mutants: BTreeSet<usize>,
    /// Those in code that this build leaves out, once that was asked.
    pub(crate) absent: Option<BTreeSet<usize>>,
    /// Functions, by name, that have to stay constant.
    pub(crate) constant: BTreeSet<String>,
}

/// A file, and what can be changed in it.
pub(crate) struct Source {
    text: String,
    /// Sorted: what lies within another comes after it.
    nodes: Vec<Node>,
}

struct Node {
    at: Range<usize>,
    change: Change,
}

enum Change {
    /// Of a function, returned at its begin.
    Body(Vec<(usize, String)>),
    Binary {
        left: Range<usize>,
        operator: Range<usize>,
        right: Range<usize>,
        others: Vec<(usize, String)>,
    },
    /// Deleted before an operand.
    Unary {
        operand: Range<usize>,
        mutant: usize,
    },
    Guard(Vec<(usize, String)>),
    /// No change: the word is left out, as its function chooses.
    Const,
}

impl Source {
    /// `mutants`: those of this file, each with its number. Also says which are not in the schema.
    pub(crate) fn new(
        text: String,
        mutants: &[(usize, &Mutant)],
        apart: &Apart,
    ) -> syn::Result<(Self, BTreeSet<usize>)> {
        let tree = syn::parse_file(&text)?;
        let mut source = Self { text, nodes: Vec::new() };
        let mut of: BTreeMap<(usize, usize), Vec<(usize, &Mutant)>> = BTreeMap::new();
        for &(number, mutant) in
            mutants.iter().filter(|(number, _)| !apart.mutants.contains(number))
        {
            let at = mutant.range(&source.text);
            of.entry((at.start, at.end)).or_default().push((number, mutant));
        }
        let mut finder = Finder {
            source: &source,
            of,
            constant: &apart.constant,
            constants: 0,
            nodes: Vec::new(),
        };
        finder.visit_file(&tree);
        let left = finder.of.into_values().flatten().map(|(number, _)| number).collect();
        source.nodes = finder.nodes;
        source
            .nodes
            .sort_by_key(|node| (node.at.start, !node.at.is_empty(), usize::MAX - node.at.end));
        Ok((source, left))
    }

    /// With all of them, each between marks.
    pub(crate) fn schema(&self, chosen: &str) -> String {
        let mut out = String::new();
        self.write(0..self.text.len(), 0, chosen, &mut out);
        out
    }

    /// With something that nobody has defined in the place of each: the compiler complains of
    /// those that are in its build.
    pub(crate) fn probe(&self, chosen: &str) -> String {
        let mut probes = Self { text: self.text.clone(), nodes: Vec::new() };
        let probe = |others: &[(usize, String)]| {
            others.iter().map(|(number, _)| (*number, format!("{PROBE}{number}"))).collect()
        };
        for node in &self.nodes {
            let change = match &node.change {
                Change::Body(others) => Change::Body(probe(others)),
                Change::Binary { others, .. } | Change::Guard(others) => {
                    Change::Guard(probe(others))
                }
                Change::Unary { mutant, .. } => Change::Guard(probe(&[(*mutant, String::new())])),
                Change::Const => continue,
            };
            probes.nodes.push(Node { at: node.at.clone(), change });
        }
        probes.schema(chosen)
    }

    fn write(&self, range: Range<usize>, first: usize, chosen: &str, out: &mut String) {
        let mut at = range.start;
        for (index, node) in self.nodes.iter().enumerate().skip(first) {
            if node.at.start < at || node.at.end > range.end || node.at.start > range.end {
                continue;
            }
            out.push_str(&self.text[at..node.at.start]);
            at = node.at.end;
            self.write_node(node, index + 1, chosen, out);
        }
        out.push_str(&self.text[at..range.end]);
    }

    fn write_node(&self, node: &Node, next: usize, chosen: &str, out: &mut String) {
        let part = |part: &Range<usize>| {
            let mut out = String::from("(");
            self.write(part.clone(), next, chosen, &mut out);
            out + ")"
        };
        match &node.change {
            Change::Const => {}
            Change::Body(others) => {
                for (number, other) in others {
                    out.push_str(&format!(
                        "if {chosen}({number}) == {number} {{ return {}; }}\n",
                        marked(*number, other)
                    ));
                }
            }
            Change::Binary { left, operator, right, others } => {
                let (left, right) = (part(left), part(right));
                let with = |operator: &str| format!("{left} {operator} {right}");
                let others: Vec<_> =
                    others.iter().map(|(number, other)| (*number, with(other))).collect();
                out.push_str(&choice(chosen, &with(&self.text[operator.clone()]), &others));
            }
            Change::Unary { operand, mutant } => {
                let operator = &self.text[node.at.start..operand.start];
                let operand = part(operand);
                out.push_str(&choice(
                    chosen,
                    &format!("{operator}{operand}"),
                    &[(*mutant, operand)],
                ));
            }
            Change::Guard(others) => out.push_str(&choice(chosen, &part(&node.at), others)),
        }
    }

    fn span(&self, span: Span) -> Range<usize> {
        let [start, end] =
            [span.start(), span.end()].map(|at| byte(&self.text, at.line, at.column));
        start..end
    }
}

const PROBE: &str = "not_defined_";

/// The mutant in whose place a probe is that the compiler complains of.
pub(crate) fn probed(complaint: &str) -> Option<usize> {
    complaint.split('`').nth(1)?.strip_prefix(PROBE)?.parse().ok()
}

/// What begins and ends the text of a mutant.
fn marks(number: usize) -> [String; 2] {
    [format!("/*{{{number}*/"), format!("/*{number}}}*/")]
}

fn marked(number: usize, text: &str) -> String {
    let [begin, end] = marks(number);
    format!("{begin}{text}{end}")
}

/// The original first: where types do not agree, the compiler complains of the others.
fn choice(chosen: &str, original: &str, others: &[(usize, String)]) -> String {
    let first = others[0].0;
    let is_none = others
        .iter()
        .map(|(number, _)| format!("chosen != {number}"))
        .collect::<Vec<_>>()
        .join(" && ");
    let mut out = format!("(match {chosen}({first}) {{ chosen if {is_none} => {original},\n");
    for (index, (number, other)) in others.iter().enumerate() {
        let pattern = if index + 1 == others.len() { "_".to_owned() } else { number.to_string() };
        out.push_str(&format!("{pattern} => {},\n", marked(*number, other)));
    }
    out + "})"
}

/// Which mutant's text has this byte of a schema: the innermost.
pub(crate) fn mutant_at(schema: &str, byte: usize) -> Option<usize> {
    let mut open = Vec::new();
    for (at, _) in schema[..byte].match_indices("*/") {
        let Some(mark) = schema[..at].rfind("/*").map(|begin| &schema[begin + 2..at]) else {
            continue;
        };
        if let Some(number) = mark.strip_prefix('{').and_then(|number| number.parse::<usize>().ok())
        {
            open.push(number);
        } else if mark.strip_suffix('}').and_then(|number| number.parse::<usize>().ok()).is_some() {
            open.pop();
        }
    }
    open.pop()
}

/// Finds the expressions that the mutants are about. What it does not come to, or lies in a
/// constant, is left in `of`.
struct Finder<'a> {
    source: &'a Source,
    of: BTreeMap<(usize, usize), Vec<(usize, &'a Mutant)>>,
    constant: &'a BTreeSet<String>,
    constants: usize,
    nodes: Vec<Node>,
}

impl Finder<'_> {
    fn take(&mut self, at: &Range<usize>) -> Option<Vec<(usize, String)>> {
        let found = self.of.remove(&(at.start, at.end))?;
        Some(
            found
                .into_iter()
                .map(|(number, mutant)| (number, mutant.replacement.clone()))
                .collect(),
        )
    }

    fn within_constant(&mut self, visit: impl FnOnce(&mut Self)) {
        self.constants += 1;
        visit(self);
        self.constants -= 1;
    }

    fn function(
        &mut self,
        signature: &syn::Signature,
        block: &syn::Block,
        visit: impl FnOnce(&mut Self),
    ) {
        if let Some(word) = &signature.constness {
            if self.constant.contains(&signature.ident.to_string()) {
                return self.within_constant(visit);
            }
            let at = self.source.span(word.span());
            self.nodes.push(Node { at, change: Change::Const });
        }
        // Of `impl Trait` the first type that is returned is the type of all.
        let returns = &self.source.text[self.source.span(signature.output.span())];
        if let (false, [first, .., last] | [first @ last]) =
            (returns.contains("impl "), &block.stmts[..])
        {
            let (first, last) = (self.source.span(first.span()), self.source.span(last.span()));
            if let Some(others) = self.take(&(first.start..last.end)) {
                self.nodes
                    .push(Node { at: first.start..first.start, change: Change::Body(others) });
            }
        }
        visit(self);
    }
}

/// Whether an operand of `&&` says `let`, so that it is not an expression.
fn is_let(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => {
            matches!(binary.op, syn::BinOp::And(_))
                && (is_let(&binary.left) || is_let(&binary.right))
        }
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block, |finder| {
            visit::visit_item_fn(finder, function)
        });
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, &function.block, |finder| {
            visit::visit_impl_item_fn(finder, function)
        });
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        let Some(block) = &function.default else { return };
        self.function(&function.sig, block, |finder| visit::visit_trait_item_fn(finder, function));
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let operator = self.source.span(binary.op.span());
        if self.constants == 0
            && !is_let(&binary.left)
            && !is_let(&binary.right)
            && let Some(others) = self.take(&operator)
        {
            let [at, left, right] = [binary.span(), binary.left.span(), binary.right.span()]
                .map(|span| self.source.span(span));
            self.nodes.push(Node { at, change: Change::Binary { left, operator, right, others } });
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if self.constants == 0
            && let Some(others) = self.take(&self.source.span(unary.op.span()))
        {
            let [at, operand] =
                [unary.span(), unary.expr.span()].map(|span| self.source.span(span));
            self.nodes.push(Node { at, change: Change::Unary { operand, mutant: others[0].0 } });
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if self.constants == 0
            && let Some((_, guard)) = &arm.guard
            && !is_let(guard)
        {
            let at = self.source.span(guard.span());
            if let Some(others) = self.take(&at) {
                self.nodes.push(Node { at, change: Change::Guard(others) });
            }
        }
        visit::visit_arm(self, arm);
    }

    // What is computed when it is compiled.
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.within_constant(|finder| visit::visit_item_const(finder, item));
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.within_constant(|finder| visit::visit_item_static(finder, item));
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.within_constant(|finder| visit::visit_impl_item_const(finder, item));
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.within_constant(|finder| visit::visit_trait_item_const(finder, item));
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.within_constant(|finder| visit::visit_variant(finder, variant));
    }

    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        self.within_constant(|finder| visit::visit_type_array(finder, array));
    }

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
        self.within_constant(|finder| finder.visit_expr(&repeat.len));
    }

    fn visit_expr_const(&mut self, block: &'ast syn::ExprConst) {
        self.within_constant(|finder| visit::visit_expr_const(finder, block));
    }

    fn visit_generic_argument(&mut self, argument: &'ast syn::GenericArgument) {
        self.within_constant(|finder| visit::visit_generic_argument(finder, argument));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(at: Range<usize>, replacement: &str, is_body: bool) -> Mutant {
        Mutant {
            file: "one.rs".into(),
            name: String::new(),
            package: String::new(),
            is_body,
            from: (1, at.start + 1),
            to: (1, at.end + 1),
            replacement: replacement.into(),
        }
    }

    fn schema(
        text: &str,
        mutants: &[(usize, &Mutant)],
        apart: &Apart,
    ) -> (String, BTreeSet<usize>) {
        let (source, left) = Source::new(text.into(), mutants, apart).unwrap();
        (source.schema("chosen"), left)
    }

    /// Each mutant is between marks of its own, the operands are kept together, and what is in a
    /// constant is left.
    #[test]
    fn a_run_chooses_among_all_that_can_be_built_in() {
        let text = "const N: u32 = 1 + 2; const fn f(a: u32) -> bool { !(a + N < 2) }";
        let at = |part: &str| text.rfind(part).map(|at| at..at + part.len()).unwrap();
        let body = mutant(at("!(a + N < 2)"), "true", true);
        let [not, plus, less, more] = [("!", ""), ("+", "-"), ("<", "=="), ("<", ">")]
            .map(|(from, to)| mutant(at(from), to, false));
        let in_constant = mutant(17..18, "*", false);
        let all = [(1, &body), (2, &not), (3, &plus), (4, &less), (5, &more), (6, &in_constant)];
        let (out, left) = schema(text, &all, &Apart::default());
        assert_eq!(left, [6].into());
        assert!(syn::parse_file(&out).is_ok(), "{out}");
        assert!(out.starts_with("const N: u32 = 1 + 2;  fn f("), "{out}");
        let sum = "((match chosen(3) { chosen if chosen != 3 => (a) + (N),\n_ => /*{3*/(a) - (N)/*3}*/,\n}))";
        for part in [
            "if chosen(1) == 1 { return /*{1*/true/*1}*/; }".to_owned(),
            format!("chosen if chosen != 4 && chosen != 5 => {sum} < (2)"),
            format!("4 => /*{{4*/{sum} == (2)/*4}}*/,\n_ => /*{{5*/{sum} > (2)/*5}}*/"),
        ] {
            assert!(out.contains(&part), "{part}\nis not in\n{out}");
        }
        // What the compiler says of a place is said of the innermost mutant.
        assert_eq!(mutant_at(&out, out.find("true").unwrap()), Some(1));
        assert_eq!(mutant_at(&out, out.rfind("(a) - (N)").unwrap() + 3), Some(3));
        assert_eq!(mutant_at(&out, out.rfind(" > (2)").unwrap()), Some(5));
        assert_eq!(mutant_at(&out, 3), None);
        // What a constant calls stays one, and what is apart is not there.
        let constant = ["f".to_owned()].into();
        let apart = Apart { mutants: [4].into(), constant, absent: None };
        let (out, left) = schema(text, &all, &apart);
        assert_eq!((&*out, left), (text, [1, 2, 3, 5, 6].into()));
    }

    /// The compiler names each probe that it finds.
    #[test]
    fn a_probe_is_in_the_place_of_each() {
        let text = "fn f(a: bool) -> bool { !a }";
        let mutants = [mutant(24..26, "true", true), mutant(24..25, "", false)];
        let all = [(1, &mutants[0]), (2, &mutants[1])];
        let (source, _) = Source::new(text.into(), &all, &Apart::default()).unwrap();
        let probe = source.probe("chosen");
        assert!(
            probe.contains("return /*{1*/not_defined_1/*1}*/") && probe.contains("not_defined_2")
        );
        assert_eq!(probed("cannot find value `not_defined_2` in this scope"), Some(2));
        assert_eq!(probed("cannot find value `other` in this scope"), None);
    }

    #[test]
    fn one_mutant_alone_replaces_its_text() {
        assert_eq!(mutant(2..4, "!=", false).within("a == b"), "a != b");
    }
}

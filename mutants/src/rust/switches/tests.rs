//! Each kind of mutant in a small text.

use super::*;

/// Adds a switch for the code of a kind that begins at `at`, with each replacement, to a function with this body.
fn switched_in(source: &str, genre: Genre, at: &str, replacements: &[&str]) -> Switched {
    let offset = source.find(at).unwrap();
    let line = source[..offset].matches('\n').count() + 1;
    let column = offset - source[..offset].rfind('\n').map_or(0, |end| end + 1) + 1;
    let mutant = |(number, replacement): (u32, &&str)| Mutant {
        number,
        file: "a.rs".to_owned(),
        genre,
        start: (line, column),
        replacement: (*replacement).to_owned(),
        name: format!("a.rs: {at}"),
    };
    let mutants: Vec<Mutant> = (1..).zip(replacements).map(mutant).collect();
    let mutants: Vec<&Mutant> = mutants.iter().collect();
    add(source, &mutants).unwrap()
}

fn switched(body: &str, genre: Genre, at: &str, replacements: &[&str]) -> String {
    let switched = switched_in(&format!("fn f() {{ {body} }}"), genre, at, replacements);
    let text = switched.text.replace("crate::mutant_switch::", "");
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    text.strip_prefix("fn f() { ")
        .unwrap()
        .strip_suffix(" }")
        .unwrap()
        .to_owned()
}

#[test]
fn a_function_returns_at_once() {
    let source = "impl A {\n    fn g(&self) -> u8 {\n        self.0\n    }\n}\n";
    let text = switched_in(source, Genre::FnValue, "self.0", &["0", "1"]).text;
    let begin = "{ if crate::mutant_switch::active(1) { return 0; } if crate::mutant_switch::active(2) { return 1; }\n";
    assert_eq!(text, source.replacen("u8 {\n", &format!("u8 {begin}"), 1));
}

#[test]
fn a_function_that_returns_an_iterator_has_one_type() {
    let source = "fn g() -> impl Iterator<Item = u8> + Send { a() }";
    let values = ["::std::iter::empty()", "::std::iter::once(1)"];
    let text = switched_in(source, Genre::FnValue, "a()", &values).text;
    syn::parse_file(&text).unwrap();
    let text = text.replace("crate::mutant_switch::", "");
    let body = "{ either(active(1).then(|| ::std::iter::empty()),  either(active(2).then(|| ::std::iter::once(1)), { a() }))}";
    assert_eq!(text, source.replace("{ a() }", body));
}

#[test]
fn an_operator_is_replaced() {
    assert_eq!(
        switched("a.b <= c + 1", Genre::BinaryOperator, "<=", &["<", ">"]),
        "(if active(1) { (a.b) < (c + 1) } else if active(2) { (a.b) > (c + 1) } else { (a.b) <= (c + 1) })"
    );
    assert_eq!(
        switched("a += 1;", Genre::BinaryOperator, "+=", &["-="]),
        "(if active(1) { a -= (1) } else { a += (1) });"
    );
    assert_eq!(
        switched("!a.b()", Genre::UnaryOperator, "!", &[""]),
        "(if active(1) { a.b() } else { !(a.b()) })"
    );
}

#[test]
fn the_right_operand_of_and_and_or_stands_once() {
    assert_eq!(
        switched("a && b || c", Genre::BinaryOperator, "&&", &["||"]),
        "({ let mutant_left: bool = a; if mutant_left != active(1) { b } else { mutant_left } }) || c"
    );
    assert_eq!(
        switched("a && b || c", Genre::BinaryOperator, "||", &["&&"]),
        "({ let mutant_left: bool = a && b; if mutant_left == active(1) { c } else { mutant_left } })"
    );
}

#[test]
fn or_in_a_chain_with_let_does_not_compile() {
    let add = |condition: &str| {
        let source = format!("fn f() {{ if {condition} {{}} }}");
        switched_in(&source, Genre::BinaryOperator, "&& b", &["||"])
    };
    assert_eq!(add("a && b && let c = d").unviable, [1]);
    assert_eq!(add("let c = d && b").unviable, [1]);
    assert!(add("(a && b) && let c = d").unviable.is_empty());
}

#[test]
fn an_arm_is_left_out_and_a_guard_replaced() {
    assert_eq!(
        switched(
            "match a { Some(1) => b, _ => c }",
            Genre::MatchArm,
            "Some",
            &[""]
        ),
        "match a { Some(1) if !active(1) && true => b, _ => c }"
    );
    assert_eq!(
        switched(
            "match a { Some(1) if d => b, _ => c }",
            Genre::MatchArm,
            "Some",
            &[""]
        ),
        "match a { Some(1) if !active(1) && ((d)) => b, _ => c }"
    );
    assert_eq!(
        switched(
            "match a { d if e => b, _ => c }",
            Genre::MatchArmGuard,
            "e =>",
            &["false", "true"]
        ),
        "match a { d if (active(2) || !active(1) && (e)) => b, _ => c }"
    );
}

#[test]
fn a_field_is_left_out() {
    assert_eq!(
        switched("A { b: 1, c: 2, ..d }", Genre::StructField, "b: 1", &[""]),
        "(if active(1) { A {  c: 2, ..d } } else { A { b: 1, c: 2, ..d } })"
    );
}

#[test]
fn constants_have_no_switch() {
    let add = |source: &str| switched_in(source, Genre::BinaryOperator, "+", &["-"]);
    assert_eq!(add("const A: u8 = 1 + 2;").constant, [1]);
    assert_eq!(add("fn f() { let a = [0; 1 + 2]; }").constant, [1]);
    assert!(add("fn f() -> u8 { 1 + 2 }").constant.is_empty());
}

#[test]
fn what_was_written_is_found_by_its_place() {
    let switched = switched_in("fn f() { a + b }", Genre::BinaryOperator, "+", &["-"]);
    let kind_of = |text: &str| {
        let around = switched
            .places
            .iter()
            .filter(|place| switched.text[place.range.clone()].contains(text));
        around.min_by_key(|place| place.range.len()).unwrap().kind
    };
    assert_eq!(kind_of("(a) - (b)"), Kind::Replacement);
    assert_eq!(kind_of("(a) + (b)"), Kind::Switch);
    assert_eq!(kind_of("fn f"), Kind::Function);
}

#[test]
fn switches_stand_in_one_another() {
    let source = "fn f() -> bool { !(a < b) }";
    let mutant = |number, genre, column, replacement: &str| Mutant {
        number,
        file: String::new(),
        genre,
        start: (1, column),
        replacement: replacement.to_owned(),
        name: String::new(),
    };
    let mutants = [
        mutant(1, Genre::FnValue, 18, "true"),
        mutant(2, Genre::UnaryOperator, 18, ""),
        mutant(3, Genre::BinaryOperator, 22, "=="),
    ];
    let text = add(source, &mutants.iter().collect::<Vec<_>>())
        .unwrap()
        .text;
    let inner = "((if active(3) { (a) == (b) } else { (a) < (b) }))";
    assert_eq!(
        text.replace("crate::mutant_switch::", ""),
        format!(
            "fn f() -> bool {{ if active(1) {{ return true; }} (if active(2) {{ {inner} }} else {{ !({inner}) }}) }}"
        )
    );
    let unknown = [mutant(4, Genre::MatchArm, 5, "")];
    assert!(add(source, &unknown.iter().collect::<Vec<_>>()).is_err());
}

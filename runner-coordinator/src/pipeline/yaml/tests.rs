use super::super::error::CompileError;
use super::{Document, Node, Value, parse};

fn document(text: &str) -> Document {
    parse("ci.yml", text).unwrap()
}

fn tree(text: &str) -> Node {
    document(text).content.unwrap()
}

fn failure(text: &str) -> CompileError {
    parse("ci.yml", text).unwrap_err()
}

/// A compact text form: scalars by type, maps and lists in order.
fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(list) => format!("[{}]", list.items().iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, entry)| format!("{key}: {}", show(&entry.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Reference(path) => format!("ref({})", path.join("/")),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => node.scalar_text().unwrap(),
    }
}

fn shown(text: &str) -> String {
    show(&tree(text))
}

#[test]
fn every_key_and_value_has_its_place() {
    let root = tree("a:\n  b: [x,\n    y]\n");
    let a = root.as_map().unwrap().entry("a").unwrap();
    assert_eq!(a.key_span.to_string(), "ci.yml:1:1");
    let b = a.value.as_map().unwrap().entry("b").unwrap();
    assert_eq!(b.key_span.to_string(), "ci.yml:2:3");
    let items = b.value.as_list().unwrap();
    assert_eq!(items[0].span.to_string(), "ci.yml:2:7");
    assert_eq!(items[1].span.to_string(), "ci.yml:3:5");
}

#[test]
fn a_null_value_stands_where_its_key_stands() {
    let root = tree("a:\n\n\nb: 1\n");
    let a = root.as_map().unwrap().entry("a").unwrap();
    assert_eq!(a.value.span.to_string(), "ci.yml:1:1");
}

#[test]
fn scalars_follow_yaml_1_1() {
    for (text, expected) in [
        ("yes", "true"),
        ("Off", "false"),
        ("y", "\"y\""),
        ("n", "\"n\""),
        ("0x1F", "31"),
        ("0b101", "5"),
        ("0755", "493"),
        ("0o17", "15"),
        ("00", "0"),
        ("08", "\"08\""),
        ("1_000", "1000"),
        ("1,000", "1000"),
        ("-12", "-12"),
        ("12:30:45", "45045"),
        ("1:30", "5400"),
        ("1:99", "\"1:99\""),
        ("1e3", "\"1e3\""),
        ("1.10", "1.1"),
        ("1.0", "1.0"),
        ("1.5e+3", "1500.0"),
        ("1.0e+20", "1.0e+20"),
        ("0.00001", "1.0e-05"),
        (".5", "0.5"),
        (".", "\".\""),
        ("1.2.3", "\"1.2.3\""),
        (":foo", "\"foo\""),
        ("~", "null"),
        ("NULL", "null"),
        ("'yes'", "\"yes\""),
        ("\"12\"", "\"12\""),
        ("!!str 12", "\"12\""),
        ("99999999999999999999999999999999999999999999", "\"99999999999999999999999999999999999999999999\""),
    ] {
        assert_eq!(shown(&format!("a: {text}")), format!("{{a: {expected}}}"), "{text}");
    }
}

#[test]
fn unquoted_dates_are_refused_with_their_place() {
    let error = failure("a: 1\nb: 2024-01-31\n");
    assert_eq!(error.to_string(), "ci.yml:2:4: Tried to load unspecified class: Date");
    assert_eq!(error.help.unwrap(), "put it in quotes: \"2024-01-31\"");
    assert!(failure("b: 2024-01-31 10:00:00").message.ends_with("Time"));
    assert_eq!(shown("a: '2024-01-31'"), "{a: \"2024-01-31\"}");
}

#[test]
fn the_last_of_equal_keys_wins_at_the_position_of_the_first() {
    let document = document("a: 1\nb: 2\na: 3\n");
    assert_eq!(show(&document.content.unwrap()), "{a: 3, b: 2}");
    assert_eq!(document.notes, ["ci.yml:3:1: key `a` is written twice, first in line 1: the last one wins"]);
}

#[test]
fn scenario_13_merge_key_order() {
    let anchors = "p: &p {k: p, h: {x: 1}}\nq: &q {k: q, h: {y: 2}}\n";
    let merged = |body: &str| {
        let root = tree(&format!("{anchors}r:\n{body}"));
        show(&root.as_map().unwrap().entry("r").unwrap().value)
    };
    assert_eq!(merged("  <<: [*p, *q]\n"), "{k: \"p\", h: {x: 1}}");
    assert_eq!(merged("  <<: *p\n  k: 1\n"), "{k: 1, h: {x: 1}}");
    assert_eq!(merged("  k: 1\n  <<: *p\n"), "{k: \"p\", h: {x: 1}}");
    assert_eq!(merged("  <<: *p\n  <<: *q\n"), "{k: \"q\", h: {y: 2}}");
    assert_eq!(merged("  \"<<\": *p\n  z: 1\n"), "{k: \"p\", h: {x: 1}, z: 1}");
    assert_eq!(merged("  <<: {k: here}\n"), "{k: \"here\"}");
}

#[test]
fn merging_something_else_than_hashes_is_an_error() {
    for value in ["x", "*l", "[1]", ""] {
        let error = failure(&format!("l: &l [{{a: 1}}]\nr:\n  <<: {value}\n"));
        assert_eq!(
            error.to_string(),
            "ci.yml:3:3: merge key `<<` needs a hash, an alias of a hash, or a list of them"
        );
    }
}

#[test]
fn an_unknown_alias_is_named() {
    assert_eq!(failure("a: [*nope, 1]").to_string(), "ci.yml:1:5: Unknown alias: nope");
    assert_eq!(failure("a: &x 1\n---\nb: *x").message, "Unknown alias: x");
}

#[test]
fn reference_is_the_only_tag() {
    assert_eq!(shown("a: !reference [.b, script]"), "{a: ref(.b/script)}");
    for text in ["a: !reference x", "a: !reference []", "a: !reference [1]", "a: !reference {b: c}"] {
        assert!(failure(text).message.starts_with("!reference must be"), "{text}");
    }
    assert_eq!(failure("a: !foo x").to_string(), "ci.yml:1:4: unknown tag !foo: the only tag is !reference");
}

#[test]
fn two_documents_are_a_header_and_a_configuration() {
    let document = document("spec:\n  inputs: {}\n---\na: 1\n");
    assert_eq!(show(&document.header.unwrap()), "{spec: {inputs: {}}}");
    assert_eq!(show(&document.content.unwrap()), "{a: 1}");
    assert_eq!(shown("---\na: 1\n"), "{a: 1}");
    assert!(failure("a: 1\n---\nb: 1\n---\nc: 1\n").message.contains("one document"));
    assert!(parse("ci.yml", "# nothing\n").unwrap().content.is_none());
}

#[test]
fn scenario_09_line_ends_and_tabs_in_block_scalars() {
    let root = tree("a:\r\n  script: |\r\n    if x; then\r\n    \ty\r\n    fi\r\n");
    assert_eq!(show(&root), "{a: {script: \"if x; then\\n\\ty\\nfi\\n\"}}");
}

#[test]
fn aliases_cannot_grow_without_limit() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", ")));
    }
    assert_eq!(failure(&text).message, "The parsed YAML is too big");
}

#[test]
fn nesting_is_limited() {
    assert_eq!(failure(&"[".repeat(100_000)).message, "The parsed YAML is too big");
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert_eq!(failure(&text).message, "The parsed YAML is too big");
}

#[test]
fn what_older_parsers_let_pass() {
    assert_eq!(shown("a:\n  b: [\n  x,\n  y\n]\n"), "{a: {b: [\"x\", \"y\"]}}");
    assert_eq!(shown("a: {\nb: {\nc: 1\n}\n}\nd: 1\n"), "{a: {b: {c: 1}}, d: 1}");
    assert_eq!(shown("a:\n  - \"one\ntwo\n\n  three\"\n  - 'x\ny'\n"), "{a: [\"one two\\nthree\", \"x y\"]}");
    assert_eq!(shown("a:\tb\nc:\t \t'd'\n"), "{a: \"b\", c: \"d\"}");
    let node = tree("a: {\nb: 1,\nc: *x\n}".replace("*x", "x").as_str());
    let c = node.as_map().unwrap().get("a").unwrap().as_map().unwrap().entry("c").unwrap().clone();
    assert_eq!(
        (c.key_span.to_string(), c.value.span.to_string()),
        ("ci.yml:3:1".to_owned(), "ci.yml:3:4".to_owned())
    );
    // What is wrong after all is reported where it is.
    assert_eq!(failure("a: {\nb: 1,\nc: *x\n}").to_string(), "ci.yml:3:4: Unknown alias: x");
    assert!(failure("a:\n  - \"one\ntwo\n").to_string().starts_with("ci.yml:"));
}

#[test]
fn repairs_are_limited() {
    let text = format!("a: [\n{}]\n", "x,\n".repeat(100_000));
    assert!(parse("ci.yml", &text).is_err());
}

#[test]
fn missing_keys_and_tabs() {
    assert_eq!(
        failure("a:\n  - : b\n").to_string(),
        "ci.yml:2:5: invalid YAML: a key is missing in front of `:`"
    );
    assert!(failure("a: [: b]").message.contains("a key is missing"));
    for (text, place) in
        [("a:\n  b: 1\n \tc: 1\n", "2:6"), ("a:\n\tb: 1\n", "2:2"), ("a:\n  - b\n\t- c\n", "2:5")]
    {
        let error = failure(text);
        assert!(error.to_string().starts_with(&format!("ci.yml:{place}: invalid YAML")), "{error}");
        assert_eq!(error.help.as_deref(), Some("YAML is indented with spaces, never with tabs"));
    }
    assert_eq!(shown("a: [\n  x,\n\t]\nb: |\n  x\n  \ty\n"), "{a: [\"x\"], b: \"x\\n\\ty\\n\"}");
}

#[test]
fn a_block_ends_as_the_file_does() {
    assert_eq!(shown("a: |\n  x"), "{a: \"x\"}");
    assert_eq!(shown("a: |\n  x\n"), "{a: \"x\\n\"}");
    assert_eq!(shown("a: |\n  x\nb: y"), "{a: \"x\\n\", b: \"y\"}");
}

#[test]
fn syntax_errors_have_line_and_column() {
    let error = failure("a:\n\t- x\n");
    assert!(error.to_string().starts_with("ci.yml:2:"), "{error}");
    assert!(error.help.unwrap().contains("tabs"));
}

#[test]
fn keys_are_texts() {
    assert_eq!(shown("1: a\ntrue: b\n~: c\n1.50: d\n"), "{1: \"a\", true: \"b\", : \"c\", 1.5: \"d\"}");
    assert!(failure("? [a]\n: b\n").message.contains("a key must be a string"));
}

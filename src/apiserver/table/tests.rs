//! Tests of tables: columns and cells of tests/vectors/table.json are those that a real API server gave for the same
//! printer columns and objects; the ages there are as of its `now`.

use super::*;
use crate::apiserver::names::GroupVersion;

fn kind(columns: Vec<Column>, custom: bool) -> Kind {
    Kind {
        columns,
        custom,
        ..Kind::bare(GroupVersion::new("g", "v1"), "Thing", "things")
    }
}

fn column(name: &str, kind: &str, path: &str) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        source: CellSource::Path(path.to_owned()),
    }
}

#[test]
fn columns_and_cells_are_those_of_the_real_server() {
    let recorded: Value = serde_json::from_str(include_str!("../../../tests/vectors/table.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let columns_of = |value: &Value| Column {
        format: text(&value["format"]),
        description: text(&value["description"]),
        priority: value["priority"].as_i64().unwrap_or_default().try_into().unwrap(),
        ..column(
            &text(&value["name"]),
            &text(&value["type"]),
            &text(&value["jsonPath"]),
        )
    };
    let kind = kind(
        recorded["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(columns_of)
            .collect(),
        true,
    );
    assert_eq!(columns(&kind), recorded["columnDefinitions"]);
    let now = text(&recorded["now"]).parse().unwrap();
    for case in recorded["rows"].as_array().unwrap() {
        let row = row(&kind, &case["object"], Include::None, now);
        let names = std::iter::once("Name").chain(kind.columns.iter().map(|column| &*column.name));
        for ((name, cell), expected) in names
            .zip(row["cells"].as_array().unwrap())
            .zip(case["cells"].as_array().unwrap())
        {
            let same = cell == expected || (cell.is_number() && cell.as_f64() == expected.as_f64());
            assert!(same, "{name} of {}: {cell} is not {expected}", case["object"]);
        }
        assert_eq!(row["object"], Value::Null);
    }
}

#[test]
fn a_row_carries_as_much_of_the_object_as_is_asked_for() {
    let object = json!({"kind": "Thing", "apiVersion": "g/v1", "metadata": {"name": "n", "labels": {"a": "b"}}, "spec": 1});
    let kind = kind(default_columns(), true);
    let now = Timestamp::UNIX_EPOCH;
    let metadata = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "n", "labels": {"a": "b"}}});
    assert_eq!(row(&kind, &object, Include::parse(""), now)["object"], metadata);
    assert_eq!(
        row(&kind, &object, Include::parse("Object"), now)["object"],
        object
    );
    assert_eq!(
        row(&kind, &object, Include::parse("None"), now)["object"],
        Value::Null
    );
}

#[test]
fn a_built_in_kind_shows_its_age_as_a_string_and_computes_cells() {
    let created = |object: &Value| crate::apiserver::object::meta(object, "creationTimestamp").to_owned();
    let mut columns = vec![Column {
        source: CellSource::Since(created),
        ..column("Age", "string", "")
    }];
    columns.push(Column {
        source: CellSource::Computed(|object| object["data"].as_object().map_or(0, Map::len).into()),
        ..column("Data", "string", "")
    });
    let kind = kind(columns, false);
    let now = "2026-01-01T00:02:10Z".parse().unwrap();
    let object =
        json!({"metadata": {"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z"}, "data": {"a": 1}});
    assert_eq!(
        row(&kind, &object, Include::None, now)["cells"],
        json!(["n", "2m10s", 1])
    );
    assert_eq!(
        row(&kind, &json!({}), Include::None, now)["cells"],
        json!(["", "<unknown>", 0])
    );
}

#[test]
fn floats_have_the_shortest_text() {
    for (float, expected) in [
        (1.5, "1.5"),
        (0.1, "0.1"),
        (123_456.5, "123456.5"),
        (1_234_567.5, "1.2345675e+06"),
        (1e21, "1e+21"),
        (1e-7, "1e-07"),
        (0.0001, "0.0001"),
        (-2.5, "-2.5"),
    ] {
        assert_eq!(float_text(float), expected);
    }
}

"""Schemes: those that ship, those of the user's own, and what is said of a wrong one."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from MedLandmarkLib.errors import SchemeError
from MedLandmarkLib.scheme import KINDS, Scheme, list_schemes, load_scheme

SHIPPED = {
    "a4c-4": 4, "afids-32": 32, "chest-6": 6, "fetal-head-4": 4, "hand-37": 37, "head-19": 19, "heart-lung-6": 6,
    "leg-26": 26, "mouse-skull-45": 45, "plax-4": 4, "spine-68": 68, "tooth-16": 16,
}  # fmt: skip


@pytest.fixture(scope="session")
def the_schema(the_repository: Path) -> jsonschema.Draft202012Validator:
    schema = json.loads((the_repository / "Resources" / "Scheme-schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture
def a_scheme() -> dict:
    """The JSON of a small scheme that uses every field."""
    return {
        "schema_version": "1.0",
        "id": "triangle-4",
        "version": "1",
        "title": "Triangle",
        "anatomy": "none",
        "modality": "drawing",
        "description": "Four points.",
        "names": {"kind": "published", "note": "Letters."},
        "landmarks": [
            {"name": "a", "code": "1", "definition": "First corner.", "source": "drawn"},
            {"name": "b", "definition": "Second corner."},
            {"name": "c", "definition": "Third corner."},
            {"name": "d", "definition": "Inside."},
        ],
        "measurements": [
            _measurement(name="ab", kind="distance", unit="mm", points=["a", "b"]),
            _measurement(name="at b", kind="angle_at_vertex", unit="deg", points=["a", "b", "c"]),
            _measurement(
                name="height",
                kind="point_to_line",
                unit="mm",
                points=[{"midpoint": ["c", "d"]}],
                lines=[["a", "b"]],
                positive_side="d",
                sign="Positive on the side of d.",
                normal={"range": [1, 2], "source": "drawn"},
                classes=[{"label": "low", "below": 1}, {"label": "normal", "at_least": 1, "normal": True}],
            ),
            _measurement(
                name="half",
                kind="ratio",
                unit="%",
                terms=[{"measurement": "height"}, {"measurement": "ab", "factor": 2}],
            ),
        ],
        "evaluation": {"radii": [1, 2], "unit": "px", "tolerance": 1, "reason": "Small.", "reference_size_wh": [8, 8]},
        "sources": ["Euclid."],
        "licence": ["None."],
        "notes": ["A test."],
    }


def _measurement(**fields: object) -> dict:
    return {"title": "t", "formula": "f", "source": "s", **fields}


def _saved(content: object, folder: Path) -> Path:
    path = folder / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_all_schemes_are_listed_in_order() -> None:
    assert {scheme.id: len(scheme) for scheme in list_schemes()} == SHIPPED
    assert [scheme.id for scheme in list_schemes()] == sorted(SHIPPED)


@pytest.mark.parametrize("scheme_id", SHIPPED)
def test_a_shipped_scheme_obeys_the_json_schema(scheme_id: str, the_schema, the_repository: Path) -> None:
    path = the_repository / "Resources" / "Schemes" / f"{scheme_id}.json"
    the_schema.validate(json.loads(path.read_text(encoding="utf-8")))
    assert load_scheme(scheme_id).path == path


@pytest.mark.parametrize("scheme_id", SHIPPED)
def test_a_shipped_scheme_is_complete_and_consistent(scheme_id: str) -> None:
    scheme = load_scheme(scheme_id)
    assert scheme.tolerance in scheme.sdr_radii
    assert len({landmark.label for landmark in scheme.landmarks}) == len(scheme)
    for definition in scheme.measurements:
        assert set(scheme.measurement_inputs[definition.name]) <= set(scheme.names)
        normal = [item for item in definition.classes if item.normal]
        if definition.normal_range and definition.classes:
            (item,) = normal
            assert (item.at_least, item.at_most) == definition.normal_range
        if definition.normal_range or definition.classes:
            assert definition.normal_source


def test_a_scheme_without_published_names_says_so() -> None:
    neutral = {scheme.id for scheme in list_schemes() if scheme.names_kind == "neutral"}
    assert neutral == {"hand-37", "chest-6", "leg-26", "mouse-skull-45", "tooth-16"}
    for scheme in list_schemes():
        assert all(landmark.named == (scheme.id not in neutral) for landmark in scheme.landmarks)
        if scheme.id in neutral:
            assert "publishes no" in scheme.names_note


def test_the_radii_are_those_of_the_published_evaluations() -> None:
    radii = {scheme.id: (scheme.sdr_radii, scheme.sdr_unit) for scheme in list_schemes()}
    assert radii["head-19"] == ((2, 2.5, 3, 4), "mm")
    assert radii["hand-37"] == radii["leg-26"] == ((2, 4, 10), "mm")
    assert radii["chest-6"] == ((3, 6, 9), "px")
    assert load_scheme("chest-6").sdr_reference_size_wh == (512, 512)
    assert radii["tooth-16"] == ((0.5, 1, 2), "mm")


def test_the_cephalogram_has_the_measures_of_the_challenge() -> None:
    scheme = load_scheme("head-19")
    names = [definition.name for definition in scheme.measurements]
    assert {"SNA", "SNB", "ANB", "SN-GoGn", "FMA", "N-Me", "S-Go", "Jarabak ratio", "Overjet", "Overbite"} <= set(names)
    for name in ("ANB", "SNB", "SNA", "ODI", "APDI", "FHI", "FMA (ISBI 2015)", "MW"):
        assert len(scheme.measurement(name).classes) >= 3
    assert not scheme.measurement("FMA").normal_range


def test_a_landmark_is_found_by_name() -> None:
    scheme = load_scheme("head-19")
    assert scheme.index("Sella") == 0
    assert scheme.index("Articulare") == 18
    with pytest.raises(SchemeError, match="no landmark 'Mentom'; did you mean 'Menton'"):
        scheme.index("Mentom")
    with pytest.raises(SchemeError, match="no measurement 'SNAA'; did you mean 'SNA'"):
        scheme.measurement("SNAA")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "scheme_id"),
    [
        ("ceph_isbi", "head-19"), ("hand_xray", "hand-37"), ("camus", "a4c-4"), ("hc18", "fetal-head-4"),
        ("chest_jsrt", "heart-lung-6"), ("spine_aasce", "spine-68"),
    ],
)  # fmt: skip
def test_names_and_order_are_those_of_the_data(the_data_folder: Path, folder: str, scheme_id: str) -> None:
    dataset = json.loads((the_data_folder / folder / "dataset.json").read_text(encoding="utf-8"))
    assert list(load_scheme(scheme_id).names) == [landmark["name"] for landmark in dataset["landmarks"]]


def test_an_unknown_id_is_answered_with_the_nearest() -> None:
    with pytest.raises(SchemeError, match="no scheme 'head19'; did you mean 'head-19'"):
        load_scheme("head19")
    with pytest.raises(SchemeError, match=r"no scheme 'zzz'\. Shipped schemes: a4c-4, .*\.json file"):
        load_scheme("zzz")


def test_a_scheme_of_ones_own_is_loaded_by_its_path(a_scheme: dict, the_schema, tmp_path: Path) -> None:
    the_schema.validate(a_scheme)
    path = _saved(a_scheme, tmp_path)
    scheme = load_scheme(path)
    assert isinstance(scheme, Scheme)
    assert scheme == load_scheme(str(path))
    assert scheme.names == ("a", "b", "c", "d")
    assert scheme.measurement("height").points == (("c", "d"),)
    assert scheme.measurement_inputs["half"] == ("c", "d", "a", "b")


BREAKAGES = [
    # what is changed, how, and what the message must hold; whether a JSON schema can know it too
    (("id",), "Head 19", "id is \"Head 19\"; it must be small letters", True),
    (("id",), None, "id is missing", True),
    (("version",), 1, "version is 1; it must be text", True),
    (("title",), "  ", "title is \"  \"; it must be text", True),
    (("schema_version",), "9", "schema_version is \"9\"; it must be one of 1.0", True),
    (("titel",), "x", "titel is not a field of a scheme; did you mean 'title'", True),
    (("names", "kind"), "neutrall", "names.kind is \"neutrall\"; it must be one of .*did you mean 'neutral'", True),
    (("landmarks",), [], "landmarks is \\[\\]; it must be a list", True),
    (("landmarks", 1), "b", "landmarks\\[1\\] is \"b\"; it must be an object", True),
    (("landmarks", 1, "name"), "a", "landmarks\\[1\\].name is \"a\"; it stands twice", False),
    (("landmarks", 1, "definition"), None, "landmarks\\[1\\].definition is missing", True),
    (("sources",), [], "sources is \\[\\]", True),
    (("evaluation", "radii"), [2, 1], "evaluation.radii is \\[2, 1\\]; it must rise", False),
    (("evaluation", "radii", 0), 0, "evaluation.radii\\[0\\] is 0; it must be greater than 0", True),
    (("evaluation", "radii", 0), "1", "evaluation.radii\\[0\\] is \"1\"; it must be a number", True),
    (("evaluation", "radii", 0), True, "evaluation.radii\\[0\\] is true; it must be a number", True),
    (("evaluation", "unit"), "cm", "evaluation.unit is \"cm\"; it must be one of mm, px", True),
    (("evaluation", "unit"), "mm", "reference_size_wh .* only where the unit is 'px'", True),
    (("evaluation", "reference_size_wh"), [8], "must be \\[width, height\\]", True),
    (("evaluation", "reference_size_wh", 0), 0.5, "must be a whole number", True),
    (("landmarks", 1, "scored_along"), "z", "landmarks\\[1\\].scored_along is \"z\"; it must be one of x, y", True),
    (("evaluation", "reference_length"), {"title": "ab", "lines": []}, "lines is \\[\\]", True),
    (("evaluation", "reference_length"), {"title": "ab", "lines": [["a", "z"]]}, "must be a landmark of this", False),
    (("measurements", 0, "kind"), "distnce", "measurements\\[0\\].kind .*did you mean 'distance'", True),
    (("measurements", 0, "unit"), "deg", "measurements\\[0\\].unit is \"deg\"; it must be one of mm", True),
    (("measurements", 0, "points"), ["a"], "must have 2 entries for kind 'distance'", True),
    (("measurements", 0, "points"), None, "points is missing; it must have 2 entries", True),
    (("measurements", 0, "points", 1), "bb", "points\\[1\\] is \"bb\"; it must be a landmark of this scheme", False),
    (("measurements", 0, "points", 1), {"middle": ["a", "b"]}, "points\\[1\\].middle is not a field", True),
    (("measurements", 0, "points", 1), {"midpoint": ["a"]}, "midpoint .* at least 2", True),
    (("measurements", 0, "lines"), [["a", "b"]], "must have 0 entries for kind 'distance'", True),
    (("measurements", 0, "positive_side"), "c", "positive_side is \"c\"; it has no meaning for kind 'distance'", True),
    (("measurements", 1, "name"), "ab", "measurements\\[1\\].name is \"ab\"; it stands twice", False),
    (("measurements", 2, "lines", 0), ["a", "a"], "must join two different points", True),
    (("measurements", 2, "lines", 0), ["a", "b", "c"], "must be a line, given by two points", True),
    (("measurements", 2, "sign"), None, "sign is missing; it must say in words", True),
    (("measurements", 2, "normal"), None, "normal is missing; it must name the source of the classes", True),
    (("measurements", 2, "normal", "range"), [2, 1], "\\[2, 1\\]; it must be \\[lowest, highest\\]", False),
    (("measurements", 2, "normal", "source"), None, "normal.source is missing", True),
    (("measurements", 2, "classes", 0), {"label": "x"}, "must have one lower bound", True),
    (("measurements", 2, "classes", 0), {"label": "x", "above": 1, "at_least": 2}, "must have one lower bound", True),
    (("measurements", 2, "classes", 1, "normal"), 1, "normal is 1; it must be true or false", True),
    (("measurements", 3, "terms", 0, "measurement"), "half", "must be a measurement that stands above", False),
    (("measurements", 3, "terms", 1, "factor"), 0, "factor is 0; it must not be 0", True),
    (("measurements", 3, "terms", 0, "measurement"), "at b", "ratio of unlike things: deg and mm", False),
    (("measurements", 3, "kind"), "sum", "unit is \"%\"; it must be that of the terms, which are in mm", False),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value", "message", "by_schema"), BREAKAGES)
def test_a_wrong_scheme_is_refused_with_file_field_and_value(
    a_scheme: dict, the_schema, tmp_path: Path, where: tuple, value: object, message: str, by_schema: bool
) -> None:
    broken = copy.deepcopy(a_scheme)
    place = broken
    for key in where[:-1]:
        place = place[key]
    if value is None:
        del place[where[-1]]
    else:
        place[where[-1]] = value
    path = _saved(broken, tmp_path)
    with pytest.raises(SchemeError, match=message) as caught:
        load_scheme(path)
    assert str(path) in str(caught.value)
    assert the_schema.is_valid(broken) is not by_schema


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON at line 1, column 2"),
        ("", "not valid JSON at line 1"),
        ("[]", "the file is \\[\\]; it must be an object"),
        ('{"id": NaN}', "NaN is not a number"),
        ("[" * 100_000, "not a scheme file"),
        ('{"id": ' + "9" * 5_000 + "}", "not a scheme file"),
    ],
)
def test_a_file_that_is_no_scheme_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = _saved(content, tmp_path)
    with pytest.raises(SchemeError, match=message):
        load_scheme(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemeError, match=r"absent\.json: there is no such scheme file"):
        load_scheme(tmp_path / "absent.json")
    with pytest.raises(SchemeError, match="cannot be read"):
        load_scheme(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SchemeError, match="not UTF-8 text"):
        load_scheme(tmp_path / "binary.json")


def test_a_number_beyond_any_measure_is_refused(a_scheme: dict, tmp_path: Path) -> None:
    a_scheme["evaluation"]["tolerance"] = 10**400
    with pytest.raises(SchemeError, match=r"tolerance is 1000+.*; it must be a number"):
        load_scheme(_saved(a_scheme, tmp_path))


def test_code_and_schema_know_the_same_kinds(the_schema) -> None:
    assert the_schema.schema["$defs"]["measurement"]["properties"]["kind"]["enum"] == list(KINDS)

"""One scalar changes and nothing else: on made files of every style, and on the paths people write."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flint_ml.deployment.manifest import Target
from flint_ml.deployment.yaml_edit import decode, encode, find, leaves, parse_path, replace
from flint_ml.deployment.yaml_edit import documents as composed
from flint_ml.errors import InputError

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8)
SCALAR = st.one_of(TEXT, st.integers(), st.booleans(), st.none())
KEYS = st.text("abcXYZ_0-", min_size=1, max_size=4).filter(lambda key: key.strip("-0_"))
TREE = st.recursive(
    SCALAR, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=8
)


def dumped(data: Any, flow: bool) -> str:
    """YAML text as another program writes it."""
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = flow
    writer.dump(data, stream)
    return stream.getvalue()


def loaded(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


@settings(max_examples=30, deadline=None)
@given(tree=st.dictionaries(KEYS, TREE, min_size=1, max_size=3), old=SCALAR, new=TEXT.filter(bool), flow=st.booleans())
def test_only_that_value_changes(tree: dict[str, Any], old: Any, new: str, flow: bool) -> None:
    whole = {**tree, "target": [{"name": "other", "value": old}, {"name": "model", "value": old}]}
    text = dumped(whole, flow)
    try:
        loaded(text)
    except YAMLError:
        assume(False)  # ruamel writes `{a: ?0}` and does not read it
    try:
        changed = replace(text, "target[name=model].value", new, "f")
    except InputError:
        assert old is None, "only a value without text of its own cannot be replaced"
        return
    before, after = loaded(text)[0], loaded(changed)[0]
    value = after["target"][1]["value"]
    assert find(changed, "target[name=model].value", "f").value == new
    before["target"][1]["value"] = value
    assert after == before


@pytest.mark.parametrize(
    ("text", "path", "value", "expected"),
    [
        ("a: 6 # c\n", "a", "7", "a: 7 # c\n"),
        ("a:   '6'\r\nb: 1\r\n", "a", "7", "a:   '7'\r\nb: 1\r\n"),
        ("a: [1, 6,2]", "a[1]", "7", "a: [1, 7,2]"),
        ("- a: x\n- a: y\n", "[1].a", "z", "- a: x\n- a: z\n"),
        ("a: latest\n", "a", "7", 'a: "7"\n'),
        ("a: v6\n", "a", "v7", "a: v7\n"),
        ("{a: x}", "a", "p, q", '{a: "p, q"}'),
        ("a: 'x'", "a", "it's", "a: 'it''s'"),
        ('"a.b": {c: 1}', '"a.b".c', "2", '"a.b": {c: 2}'),
        ("a.b: {c: 1}", '["a.b"].c', "2", "a.b: {c: 2}"),
        ("a: 1\n---\nkind: X\na: 1\n", "[kind=X].a", "2", "a: 1\n---\nkind: X\na: 2\n"),
        ('{"spec": {"v": "1"}}\n', "$.spec.v", "2", '{"spec": {"v": "2"}}\n'),
        ("x: &y {k: 1}\nz: *y\na: 1\n", "a", "2", "x: &y {k: 1}\nz: *y\na: 2\n"),
        ("é: 'ü'\n🌲: 1\n", "🌲", "2", "é: 'ü'\n🌲: 2\n"),
        (
            "images:\n- name: api\n  newTag: v1\n",
            "images[name=api].newTag",
            "v2",
            "images:\n- name: api\n  newTag: v2\n",
        ),
        ("l:\n- MODEL=1\n", "l[0]", "MODEL=2", "l:\n- MODEL=2\n"),
    ],
)
def test_styles(text: str, path: str, value: str, expected: str) -> None:
    assert replace(text, path, value, "f") == expected


@pytest.mark.parametrize(
    ("text", "path", "code"),
    [
        ("a:\n", "a", "not-a-value"),
        ("a: |\n  x\n", "a", "not-a-value"),
        ("a: !!str 1\n", "a", "not-a-value"),
        ("a: &x 1\nb: *x\n", "b", "yaml-anchor"),
        ("a: &x {k: 1}\nb: *x\n", "b.k", "yaml-anchor"),
        ("a: 1\na: 2\n", "a", "ambiguous-path"),
        ("- {name: x, v: 1}\n- {name: x, v: 2}\n", "[name=x].v", "ambiguous-path"),
        ("a: [\n", "a", "invalid-yaml"),
        ("", "a", "unknown-path"),
        ("a: " + "[" * 500 + "]" * 500, "a", "invalid-yaml"),
    ],
)
def test_refused(text: str, path: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(text, path, "2", "f")
    assert caught.value.code == code


def test_a_byte_order_mark_stays() -> None:
    data = b"\xef\xbb\xbfa: 1\r\n"
    assert encode(replace(decode(data, "f"), "a", "2", "f"), data) == b"\xef\xbb\xbfa: 2\r\n"


def test_suggested_paths_can_be_used() -> None:
    text = 'a: [{name: x, "p.q": 1}, 2]\nb: {"c.d": [3]}\n'
    for root in composed(text, "f"):
        for path in leaves(root):
            assert parse_path(path)
            assert replace(text, path, "9", "f") != text


@pytest.mark.parametrize(
    ("template", "text", "number"),
    [("{version}", "7", 7), ("v{version}", "v7", 7), ("a+{version}", "a+12", 12), ("v{version}", "7", None)],
)
def test_the_number_in_a_value(template: str, text: str, number: int | None) -> None:
    assert Target("f", "p", template).number(text) == number


def test_the_example_manifests() -> None:
    folder = Path(__file__).parents[2] / "examples" / "manifests"
    for stage in ("staging", "production"):
        text = (folder / stage / "kustomization.yaml").read_text()
        changed = replace(text, "configMapGenerator[name=soc-model].literals[MODEL_VERSION]", "MODEL_VERSION=7", stage)
        assert changed == text.replace("MODEL_VERSION=0 ", "MODEL_VERSION=7 ")

"""The release tree: sub-actions at the root, one prebuilt image, nothing that points into the source."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import release_tree  # noqa: E402

DIGEST = "docker://ghcr.io/moja-global/flint-ml-actions@sha256:" + "a" * 64


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("release") / "tree"
    release_tree.build(ROOT, target, "v1", "docker://flint-ml-actions:test", "docker://flint-ml-actions-flint:test")
    return target


def load(path: Path) -> dict:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def test_every_action_is_at_the_root_with_the_image(built: Path) -> None:
    sources = release_tree.action_folders(ROOT)
    assert len(sources) >= 6
    for folder in sources:
        released, source = load(built / folder.name / "action.yml"), load(folder / "action.yml")
        if source["runs"]["using"] == "docker":
            name = "flint-ml-actions-flint" if folder.name == "run-gcbm-flint" else "flint-ml-actions"
            assert released["runs"]["image"] == f"docker://{name}:test"
        assert released["inputs"] == source["inputs"]


def test_the_root_action_calls_the_released_ones(built: Path) -> None:
    uses = [step["uses"] for step in load(built / "action.yml")["runs"]["steps"] if "uses" in step]
    assert "moja-global/flint-ml-actions/check-drift@v1" in uses
    assert not [use for use in uses if use.startswith("./")]


def test_what_setup_needs_is_there_and_nothing_else(built: Path) -> None:
    for name in ("requirements/record.txt", "scripts/flint_ml/cli.py", "pyproject.toml", "LICENSE", "setup/setup.py"):
        assert (built / name).is_file()
    assert not (built / "tests").exists()
    assert not (built / "actions").exists()
    assert not [path for path in built.rglob("*") if path.is_symlink() or path.suffix == ".pyc"]


@pytest.mark.parametrize(
    ("ref", "image", "words"),
    [
        ("main", DIGEST, "is not v1"),
        ("v9", DIGEST, "does not fit"),
        ("v1", "ghcr.io/x", "docker://"),
        ("v1.0.0", "docker://flint-ml-actions:test", "by digest"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, ref: str, image: str, words: str) -> None:
    with pytest.raises(release_tree.ReleaseError, match=words):
        release_tree.build(ROOT, tmp_path / "tree", ref, image, DIGEST)
    assert not (tmp_path / "tree").exists()


def test_a_release_without_a_changelog_entry_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "source"
    (copy / "scripts/flint_ml").mkdir(parents=True)
    (copy / "scripts/flint_ml/__init__.py").write_text('__version__ = "1.2.3"\n')
    (copy / "CHANGELOG.md").write_text("## [Unreleased]\n")
    (copy / "README.md").write_text("")
    with pytest.raises(release_tree.ReleaseError, match="no entry for 1\\.2\\.3"):
        release_tree.check(copy, "v1.2.3", DIGEST)
    (copy / "CHANGELOG.md").write_text("## [1.2.3] - 2026-11-21\n")
    release_tree.check(copy, "v1.2.3", DIGEST)

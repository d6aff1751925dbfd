"""Finding and merging a project's configuration."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from flint_ml.errors import InputError
from flint_ml.gcbm import indicators, load_project, run
from flint_ml.gcbm.project.config import find_config_dir


def copy(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def edit(file: Path, **entries: object) -> None:
    """Change entries of the first section of a configuration file."""
    content = json.loads(file.read_text())
    section = next(iter(content))
    content[section].update(entries)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["config", "gcbm_project"])
def test_both_folder_forms_are_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "deeper" / name).mkdir(parents=True)
    (tmp_path / "deeper" / name / "gcbm_config.cfg").write_text("config=a.json\n")
    for start in (tmp_path, tmp_path / "deeper", tmp_path / "deeper" / name):
        assert find_config_dir(start) == tmp_path / "deeper" / name


def test_two_projects_in_one_folder_are_an_error_that_lists_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "config").mkdir(parents=True)
        (tmp_path / name / "config" / "gcbm_config.cfg").touch()
    with pytest.raises(InputError, match="a/config, b/config"):
        find_config_dir(tmp_path)


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no gcbm_config\.cfg"):
        load_project(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        load_project(tmp_path / "nowhere")


def test_a_zip_is_read(example_folder: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "project"), "zip", example_folder))
    assert load_project(archive).years == list(range(2010, 2021))


def test_a_zip_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as bundle:
        bundle.writestr("../evil.txt", "x")
    with pytest.raises(InputError, match="outside itself"):
        load_project(tmp_path / "evil.zip")


def test_trap_a_later_file_changes_nothing(example_folder: Path, tmp_path: Path) -> None:
    """First file wins, one level deep, without recursion."""
    folder = copy(example_folder, tmp_path / "p")
    late = {
        "Variables": {"slow_ag_to_bg_mixing_rate": 0.5, "brand_new": 7},
        "LocalDomain": {"end_date": "2030/01/01"},
        "Modules": {"CBMGrowthModule": {"enabled": False}},
        "NewSection": {"kept": 1},
    }
    (folder / "config" / "late.json").write_text(json.dumps(late))
    with (folder / "config" / "gcbm_config.cfg").open("a") as cfg:
        cfg.write("# a comment = no setting\nconfig=late.json\n")
    project = load_project(folder)
    assert project.years[-1] == 2020
    assert project.variable("slow_ag_to_bg_mixing_rate") == 0.006
    assert project.variable("brand_new") == 7
    assert project.module("CBMGrowthModule") is not None
    assert project.section("NewSection") == {"kept": 1}
    assert indicators(run(project)) == indicators(run(load_project(example_folder)))


def test_variables_may_be_a_list_of_one_key_objects(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    file = folder / "config" / "variables.json"
    entries = json.loads(file.read_text())["Variables"]
    file.write_text(json.dumps({"Variables": [{key: value} for key, value in entries.items()]}))
    assert load_project(folder).section("Variables").keys() >= entries.keys()


def test_spinup_variables_come_first_in_spinup(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    file = folder / "config" / "spinup.json"
    content = json.loads(file.read_text())
    content["SpinupVariables"]["slow_ag_to_bg_mixing_rate"] = 0.1
    file.write_text(json.dumps(content))
    project = load_project(folder)
    assert project.variable("slow_ag_to_bg_mixing_rate", spinup=True) == 0.1
    assert project.variable("slow_ag_to_bg_mixing_rate") == 0.006


def test_windows_separators_and_byte_order_mark(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    file = folder / "config" / "provider_config.json"
    text = file.read_text().replace("../layers/tiled/", "..\\\\layers\\\\tiled\\\\")
    file.write_text("\ufeff" + text, encoding="utf-8")
    assert indicators(run(load_project(folder))) == indicators(run(load_project(example_folder)))


def test_an_absolute_windows_path_names_the_layer(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    file = folder / "config" / "provider_config.json"
    file.write_text(file.read_text().replace("../layers/tiled/Site.tiff", "C:\\\\data\\\\Site.tiff"))
    with pytest.raises(InputError, match="layer Site has the absolute path"):
        run(load_project(folder))


def test_broken_json_is_reported_with_its_line(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    (folder / "config" / "pools_cbm.json").write_text('{\n  "Pools": {\n    "CO2": 0.0,\n  }\n}')
    with pytest.raises(InputError) as caught:
        load_project(folder)
    assert caught.value.where is not None
    assert caught.value.where.endswith(("pools_cbm.json:3", "pools_cbm.json:4"))


def test_all_broken_files_are_reported_at_once(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    for name in ("pools_cbm.json", "spinup.json"):
        (folder / "config" / name).write_text("{")
    with pytest.raises(InputError, match=r"(?s)pools_cbm\.json.*spinup\.json"):
        load_project(folder)


def test_a_missing_configuration_file_is_named_with_its_line(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    (folder / "config" / "spinup.json").unlink()
    with pytest.raises(InputError, match=r"spinup\.json: this file does not exist") as caught:
        load_project(folder)
    assert str(caught.value.where).endswith("gcbm_config.cfg:5")


@pytest.mark.parametrize(
    ("end", "last"), [("2021/01/01", 2020), ("2021/06/01", 2021), ("2011/01/01", 2010), ("2020/12/31", 2020)]
)
def test_the_end_date_is_not_simulated(example_folder: Path, tmp_path: Path, end: str, last: int) -> None:
    folder = copy(example_folder, tmp_path / "p")
    content = json.loads((folder / "config" / "localdomain.json").read_text())
    content["LocalDomain"]["end_date"] = end
    (folder / "config" / "localdomain.json").write_text(json.dumps(content))
    assert load_project(folder).years == list(range(2010, last + 1))


@pytest.mark.parametrize("end", ["2010/01/01", "2000/01/01", "soon", "2010/13/01", ""])
def test_dates_that_make_no_sense(example_folder: Path, tmp_path: Path, end: str) -> None:
    folder = copy(example_folder, tmp_path / "p")
    content = json.loads((folder / "config" / "localdomain.json").read_text())
    content["LocalDomain"]["end_date"] = end
    (folder / "config" / "localdomain.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="end_date"):
        _ = load_project(folder).years


def test_a_missing_database_is_named(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    (folder / "input_database" / "gcbm_input.db").unlink()
    with pytest.raises(InputError, match="input database"):
        run(load_project(folder))


def test_a_pointer_file_instead_of_the_database(example_folder: Path, tmp_path: Path) -> None:
    folder = copy(example_folder, tmp_path / "p")
    (folder / "input_database" / "gcbm_input.db").write_text("version https://git-lfs.github.com/spec/v1\n" * 40)
    with pytest.raises(InputError, match="not a readable SQLite database"):
        run(load_project(folder))


def test_an_upload_bundle_is_recognised(tmp_path: Path) -> None:
    for name in ("classifiers", "db", "disturbances", "miscellaneous"):
        (tmp_path / "GCBM_New_Demo_Run" / name).mkdir(parents=True)
    with pytest.raises(InputError, match=r"upload bundle of FLINT\.Cloud") as caught:
        load_project(tmp_path)
    assert caught.value.code == "gcbm-bundle"
    (tmp_path / "GCBM_New_Demo_Run" / "db").rmdir()
    with pytest.raises(InputError, match=r"no gcbm_config\.cfg"):
        load_project(tmp_path)

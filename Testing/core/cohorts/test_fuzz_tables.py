"""Tables and JSON files that were damaged: read, or refused in one sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from FedSimCore.cohorts import read_cohort
from FedSimCore.cohorts.imagechd import ImageCHDTables
from FedSimCore.cohorts.splits import make_splits, read_splits, write_splits
from FedSimCore.volumes.labels import scheme_values
from Testing.core.cohorts.hearts import write_hearts
from Testing.core.cohorts.test_readers import DIAGNOSES, GEOMETRY, write_csv
from Testing.core.volumes.fuzzing import assert_read_or_refused, bounded, damaged, damages

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@bounded
@given(edits=damages)
def test_a_damaged_cohort_table(tmp_path, edits):
    if not (tmp_path / "cohort.csv").exists():
        write_hearts(tmp_path, 1)
    path = tmp_path / "damaged.csv"
    path.write_bytes(damaged((tmp_path / "cohort.csv").read_bytes(), edits))
    assert_read_or_refused(read_cohort, path)


@bounded
@given(cells=st.lists(st.lists(st.text(max_size=12), max_size=6), max_size=4))
def test_any_rows_under_the_tables_header(tmp_path, cells):
    path = tmp_path / "cohort.csv"
    write_csv(path, [["case", "image", "fold", "center_mm", "hu_offset", "site"], *cells])
    assert_read_or_refused(read_cohort, path)


@bounded
@given(edits=damages)
def test_damaged_splits(tmp_path, edits):
    sound, path = tmp_path / "sound.json", tmp_path / "damaged.json"
    if not sound.exists():
        write_splits(make_splits(write_hearts(tmp_path / "scans", 2), folds=2), sound)
    path.write_bytes(damaged(sound.read_bytes(), edits))
    assert_read_or_refused(read_splits, path)


@bounded
@given(content=anything)
def test_any_json_as_splits_or_as_a_label_scheme(tmp_path, content):
    path = tmp_path / "any.json"
    for whole in (content, {"schema_name": "fedsim/splits/1", "sites": content}, {"values": content}):
        path.write_text(json.dumps(whole), encoding="utf-8")
        assert_read_or_refused(read_splits, path)
        assert_read_or_refused(scheme_values, path)


@pytest.mark.filterwarnings("ignore::FedSimCore.volumes.reading.VolumeWarning")
@bounded
@given(edits=damages)
def test_damaged_tables_of_imagechd(tmp_path, edits):
    for name, rows in (("imageCHD_dataset_info.csv", DIAGNOSES), ("imagechd_dataset_image_info.csv", GEOMETRY)):
        write_csv(tmp_path / name, rows)
        (tmp_path / name).write_bytes(damaged((tmp_path / name).read_bytes(), edits))
    assert_read_or_refused(ImageCHDTables.read, tmp_path)

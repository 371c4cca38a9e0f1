"""Compressed datasets: smaller, as exact as they say, and the same bytes every time."""

import json

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from simulations.datasets import Compression, Dataset, DatasetError
from simulations.datasets.compression import rounded
from simulations.datasets.layout import CHUNK_BYTES
from simulations.simulation import InvalidInput
from tests.toy import Toy

TOY = Toy(n_times=7)
N = 20
BITS = 7

floats = st.floats(width=32)


@pytest.fixture(scope="module")
def plain(generate_here, tmp_path_factory):
    return generate_here(TOY, N, tmp_path_factory.mktemp("plain") / "toy", seed=3)


@pytest.fixture(scope="module")
def squeezed(generate_here, tmp_path_factory):
    path = tmp_path_factory.mktemp("squeezed") / "toy"
    return generate_here(TOY, N, path, seed=3, compression=Compression(keep_bits=BITS))


class TestRounding:
    @given(st.lists(floats, min_size=1, max_size=20), st.integers(1, 23))
    def test_error_and_precision(self, values, keep_bits):
        exact = np.array(values, dtype=np.float32)
        found = rounded(exact, keep_bits)
        assert found.dtype == np.float32
        finite = np.isfinite(exact)
        assert np.array_equal(found[~finite], exact[~finite], equal_nan=True)
        error = np.abs(found[finite].astype(float) - exact[finite])
        assert np.all(error <= 0.5 ** (keep_bits + 1) * np.abs(exact[finite].astype(float)))
        assert np.array_equal(np.signbit(found[finite]), np.signbit(exact[finite]))
        ordinary = np.isfinite(exact) & (np.abs(exact) < 2.5e38) & (np.abs(exact) > 2e-38)
        assert not np.any(found[ordinary].view(np.uint32) & ((1 << (23 - keep_bits)) - 1))
        assert np.array_equal(rounded(found, keep_bits), found, equal_nan=True)

    def test_to_the_nearest_and_ties_to_even(self):
        """Two bits: 1, 1.25, 1.5, 1.75, 2, 2.5, ..."""
        values = [1.1, 1.2, 1.125, 1.375, 1.874, 1.875, 1.876, -1.2, 2.2, 2.25, 0.0]
        expected = [1.0, 1.25, 1.0, 1.5, 1.75, 2.0, 2.0, -1.25, 2.0, 2.0, 0.0]
        assert rounded(np.array(values), 2).tolist() == expected

    def test_what_is_given_stays_as_it_is(self):
        values = np.full(3, 1.1, dtype=np.float32)
        rounded(values, 2)
        assert np.all(values == np.float32(1.1))


class TestDataset:
    def test_lossless_is_the_same_numbers(self, plain, generate_here, tmp_path):
        packed = generate_here(TOY, N, tmp_path, seed=3, compression=Compression())
        for split in ("train", "test"):
            ours, theirs = packed.load(split), plain.load(split)
            for kind in ("parameters", "field_inputs", "fields"):
                for name, values in getattr(theirs, kind).items():
                    assert np.array_equal(getattr(ours, kind)[name], values)
        assert (tmp_path / "stats.yaml").read_text() == (plain.path / "stats.yaml").read_text()

    def test_files_become_smaller(self, generate_here, tmp_path):
        sizes = []
        for number, compression in enumerate((None, Compression(), Compression(keep_bits=BITS))):
            stored = generate_here(
                Toy(n=64), 2, tmp_path / f"{number}", splits=(1, 0, 0), compression=compression
            )
            sizes.append(sum(path.stat().st_size for path in stored.shards("train")))
        assert sizes[1] < 0.95 * sizes[0]
        assert sizes[2] < 0.5 * sizes[0]

    def test_fields_are_rounded_and_inputs_are_not(self, plain, squeezed):
        ours, theirs = squeezed.load("train"), plain.load("train")
        for kind in ("parameters", "field_inputs"):
            for name, values in getattr(theirs, kind).items():
                assert np.array_equal(getattr(ours, kind)[name], values)
        for name, values in theirs.fields.items():
            assert np.array_equal(ours.fields[name], rounded(values, BITS))
            assert not np.array_equal(ours.fields[name], values)

    def test_the_bound_is_written_beside_the_field(self, squeezed):
        with h5py.File(squeezed.shards("train")[0]) as file:
            for name in TOY.fields:
                assert file[name].attrs["keep_bits"] == BITS
                assert file[name].attrs["relative_error_bound"] == 2.0 ** -(BITS + 1)
                assert file[name].compression == "gzip"
            assert file["source"].compression == "gzip"
            assert "keep_bits" not in file["source"].attrs
            assert "keep_bits" not in file["kappa"].attrs

    def test_statistics_are_those_of_what_is_stored(self, squeezed):
        stored = squeezed.load("train").fields["theta"].astype(np.float64)
        statistics = yaml.safe_load((squeezed.path / "stats.yaml").read_text())
        np.testing.assert_allclose(statistics["mean"]["theta"], stored.mean(), rtol=1e-12)
        np.testing.assert_allclose(statistics["std"]["theta"], stored.std(), rtol=1e-12)
        deltas = np.diff(stored, axis=1)
        np.testing.assert_allclose(statistics["std_delta"]["theta"], deltas.std(), rtol=1e-6)

    def test_the_same_bytes_again(self, squeezed, generate_here, tmp_path):
        again = generate_here(TOY, N, tmp_path, seed=3, compression=Compression(keep_bits=BITS))
        assert again.compression == Compression(keep_bits=BITS)
        for ours, theirs in zip(again.shards("train"), squeezed.shards("train"), strict=True):
            assert ours.read_bytes() == theirs.read_bytes()

    def test_a_dataset_has_one_way_of_storing(self, plain, squeezed, generate_here):
        for dataset, compression in ((plain, Compression()), (squeezed, None)):
            with pytest.raises(DatasetError, match="holds a dataset with compression="):
                generate_here(TOY, N + 1, dataset.path, seed=3, compression=compression)

    def test_one_from_before_there_was_a_choice_is_plain(self, plain, generate_here, tmp_path):
        generate_here(TOY, 4, tmp_path)
        described = json.loads((tmp_path / "dataset.json").read_text())
        assert described.pop("compression") is None
        (tmp_path / "dataset.json").write_text(json.dumps(described))
        assert Dataset(tmp_path).compression is None
        assert len(generate_here(TOY, 6, tmp_path)) == 6

    def test_one_that_this_package_cannot_write(self, squeezed):
        unknown = Dataset(squeezed.path)
        unknown.manifest["compression"] = {"method": "zstd"}
        with pytest.raises(DatasetError, match="method='zstd': must be one of"):
            assert unknown.compression

    @pytest.mark.parametrize(("n", "n_times", "chunk"), [(256, 3, (1, 1, 256, 128)), (16, 7, None)])
    def test_a_chunk_is_a_frame_or_what_fits(self, generate_here, tmp_path, n, n_times, chunk):
        toy = Toy(n=n, n_times=n_times)
        packed = generate_here(toy, 3, tmp_path, splits=(1, 0, 0), compression=Compression())
        with h5py.File(packed.shards("train")[0]) as file:
            for name in toy.fields:
                size = 4 * np.prod(file[name].chunks)
                assert size <= CHUNK_BYTES or file[name].chunks[:2] == (1, 1)
            assert file["theta"].chunks == (chunk or (1, 7, 16, 8))
            assert file["power"].chunks == (1, n_times)


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"method": "zip"}, "method='zip': must be one of"),
            ({"level": 0}, "level=0"),
            ({"level": 10}, "level=10"),
            ({"keep_bits": 0}, "keep_bits=0"),
            ({"keep_bits": 24}, "keep_bits=24"),
            ({"keep_bits": 7.5}, "keep_bits=7.5"),
        ],
    )
    def test_arguments(self, options, named):
        with pytest.raises(InvalidInput, match=named):
            Compression(**options)

"""Files made to do harm are refused before anything in them is read."""

import itertools
import shutil

import h5py
import numpy as np
import pytest

import simulations
from simulations.datasets import DatasetError, UnsafeFile, layout, open_untrusted, untrusted
from tests.toy import Toy

TOY = Toy(n_times=3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hostile.hdf5"


@pytest.fixture
def secret(tmp_path):
    """A file beside the hostile one that must not be read through it."""
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        file["key"] = np.arange(4.0)
    return tmp_path / "secret.hdf5"


def refused(path, complaint):
    """Refused with a message that names the file, each time."""
    for _ in range(2):
        with pytest.raises(UnsafeFile, match=complaint) as caught:
            open_untrusted(path)
        assert str(caught.value).startswith(str(path))


class TestLinks:
    def test_an_external_link(self, path, secret):
        with h5py.File(path, "w") as file:
            file["t0_fields/u"] = h5py.ExternalLink(secret.name, "key")
        with h5py.File(path) as file:
            assert file["t0_fields/u"][1] == 1.0  # what HDF5 does by itself
        refused(path, "/t0_fields/u: an external link is not allowed")

    def test_a_soft_link(self, path):
        with h5py.File(path, "w") as file:
            file["u"] = 1.0
            file["group/v"] = h5py.SoftLink("/u")
        refused(path, "/group/v: a soft link is not allowed")

    def test_a_group_that_contains_itself(self, path):
        with h5py.File(path, "w") as file:
            file.create_group("a/b")
            file["a/b/c"] = file["a"]
        refused(path, "/a/b/c: a group that contains itself is not allowed")

    def test_the_root_inside_a_group(self, path):
        with h5py.File(path, "w") as file:
            file.create_group("a")["root"] = file["/"]
        refused(path, "/a/root: a group that contains itself")

    def test_groups_that_multiply(self, path):
        """Two links a level to the next one: 2^15 paths, each object looked at once."""
        with h5py.File(path, "w") as file:
            groups = [file.create_group(f"{i}") for i in range(15)]
            for outer, inner in itertools.pairwise(groups):
                outer["left"] = outer["right"] = inner
        open_untrusted(path).close()

    def test_many_links(self, path, monkeypatch):
        monkeypatch.setattr(untrusted, "MAX_LINKS", 50)
        with h5py.File(path, "w") as file:
            for i in range(30):
                file.create_group(f"{i % 2}/{i}")
        open_untrusted(path).close()
        with h5py.File(path, "a") as file:
            for i in range(30):
                file.create_group(f"2/{i}")
        refused(path, "the file has more than 50 links")

    def test_groups_in_groups(self, path):
        with h5py.File(path, "w") as file:
            file.create_group("/".join("g" * 15))
        open_untrusted(path).close()
        with h5py.File(path, "a") as file:
            file.create_group("/".join("g" * 16))
        refused(path, "g/g: groups are nested more than 16 deep")


class TestData:
    def test_raw_data_in_another_file(self, path, tmp_path):
        (tmp_path / "secret.txt").write_bytes(b"sixteen letters!")
        with h5py.File(path, "w") as file:
            file.create_dataset("u", (16,), "u1", external=[(tmp_path / "secret.txt", 0, 16)])
        with h5py.File(path) as file:
            assert file["u"][:].tobytes() == b"sixteen letters!"
        refused(path, "/u: raw data in another file are not allowed")

    @pytest.mark.parametrize("source", ["secret.hdf5", "."])
    def test_a_virtual_dataset(self, path, secret, source):
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(source, "key", (4,))
        with h5py.File(path, "w") as file:
            file.create_virtual_dataset("u", layout)
        refused(path, "/u: a virtual dataset is not allowed")

    @pytest.mark.parametrize(
        ("dtype", "kind"),
        [
            (h5py.ref_dtype, "reference"),
            (h5py.regionref_dtype, "reference"),
            (h5py.string_dtype(), "text of any length"),
            (h5py.vlen_dtype(np.float64), "vlen"),
            (h5py.opaque_dtype("M8[s]"), "opaque"),
            (np.dtype([("a", "f4"), ("b", h5py.string_dtype())]), "compound"),
            (np.dtype("V16"), "opaque"),
            (np.dtype(("f8", (3,))), "array"),
        ],
    )
    def test_data_that_are_no_numbers(self, path, dtype, kind):
        with h5py.File(path, "w") as file:
            file.create_dataset("u", (2,), dtype)
        refused(path, f"/u: data of class {kind} are not allowed, only integers, floats")

    @pytest.mark.parametrize("dtype", ["i1", "u8", "f2", "f4", "f8", "?", "S5", ">f4"])
    def test_numbers_and_short_text(self, path, dtype):
        with h5py.File(path, "w") as file:
            file.create_dataset("u", data=np.ones(3, dtype))
        open_untrusted(path).close()

    def test_a_named_datatype(self, path):
        with h5py.File(path, "w") as file:
            file["kind"] = np.dtype("f8")
        refused(path, "/kind: only groups and datasets are allowed")

    def test_a_filter_that_is_a_plugin(self, path):
        with h5py.File(path, "w") as file:
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk((4,))
            creation.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file.id, b"u", h5py.h5t.IEEE_F32LE, space, creation)
        refused(path, "/u: filter 32015 is not allowed, only gzip, shuffle, fletcher32, lzf")

    @pytest.mark.parametrize("filter_code", [h5py.h5z.FILTER_SCALEOFFSET, h5py.h5z.FILTER_NBIT])
    def test_a_filter_that_nobody_needs(self, path, filter_code):
        with h5py.File(path, "w") as file:
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk((4,))
            if filter_code == h5py.h5z.FILTER_NBIT:
                creation.set_filter(filter_code, h5py.h5z.FLAG_OPTIONAL, ())
            else:
                creation.set_scaleoffset(h5py.h5z.SO_INT, 0)
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file.id, b"u", h5py.h5t.STD_I32LE, space, creation)
        refused(path, f"/u: filter {filter_code} is not allowed")

    def test_filters_that_the_library_knows(self, path):
        with h5py.File(path, "w") as file:
            for options in (
                {"compression": "gzip", "shuffle": True, "fletcher32": True},
                {"compression": "lzf", "chunks": (10,)},
                {"chunks": (7,)},
            ):
                file.create_dataset(f"u{len(file)}", data=np.arange(100.0), **options)
        open_untrusted(path).close()


class TestSizes:
    @pytest.mark.parametrize("options", [{}, {"chunks": (1024, 1024)}, {"compression": "gzip"}])
    def test_terabytes_in_a_kilobyte(self, path, options):
        with h5py.File(path, "w") as file:
            file.create_dataset("u", (1_000_000, 1_100_000), "f8", **options)
        assert path.stat().st_size < 10_000
        refused(path, r"/u: shape \(1000000, 1100000\) brings what the file declares to 8,800,000")

    def test_sizes_beyond_64_bits(self, path):
        with h5py.File(path, "w") as file:
            file.create_dataset("u", (2**31, 2**31, 3), "f8", chunks=(1, 1, 1))
        refused(path, "/u: shape .* it may declare 67,108,864")

    def test_a_compression_bomb(self, path):
        with h5py.File(path, "w") as file:
            file.create_dataset("u", data=np.zeros((32, 2**20)), compression=9)
        assert path.stat().st_size < 2**28 / untrusted.EXPANSION
        refused(path, "/u: shape .* brings what the file declares to 268,435,456 bytes")

    def test_a_bomb_in_many_parts(self, path):
        with h5py.File(path, "w") as file:
            for i in range(20):
                file.create_dataset(f"u{i:02}", (2**20,), "f4", chunks=(1024,))
        refused(path, "/u16: shape .* brings")

    def test_compressing_twice(self, path):
        with h5py.File(path, "w") as file:
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_chunk((4,))
            creation.set_deflate(9)
            creation.set_filter(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FLAG_OPTIONAL, (9,))
            space = h5py.h5s.create_simple((4,))
            h5py.h5d.create(file.id, b"u", h5py.h5t.IEEE_F32LE, space, creation)
        refused(path, "/u: a filter is applied twice")

    def test_a_huge_chunk(self, path, monkeypatch):
        monkeypatch.setattr(untrusted, "CHUNK_BYTES", 1000)
        with h5py.File(path, "w") as file:
            file.create_dataset("u", (10, 100), "f8", chunks=(1, 100))
            file.create_dataset("v", (10, 1000), "f8", chunks=(2, 100))
        refused(path, "/v: a chunk of 1,600 bytes exceeds 1,000")

    def test_zeros_that_compress_well_are_not_a_bomb(self, path):
        with h5py.File(path, "w") as file:
            file.create_dataset("u", data=np.zeros((2, 2**20)), compression=9)
        open_untrusted(path).close()


class TestAttributes:
    def test_a_large_one(self, path):
        with h5py.File(path, "w", libver="latest") as file:
            file.create_group("a").attrs["load"] = np.zeros(2**18)
        refused(path, "/a: attribute load: holds 2,097,152 bytes, at most 1,048,576 are")

    def test_many(self, path):
        with h5py.File(path, "w", libver="latest") as file:
            for i in range(untrusted.MAX_ATTRIBUTES + 1):
                file.attrs[f"{i}"] = i
        refused(path, "/: has more than 512 attributes")

    def test_much_text(self, path):
        with h5py.File(path, "w", libver="latest") as file:
            names = np.array(["name"] * (untrusted.ATTRIBUTE_TEXTS + 1), object)
            file.attrs.create("field_names", names, dtype=h5py.string_dtype())
        refused(path, "/: attribute field_names: holds more than 1024 values of any length")

    @pytest.mark.parametrize(
        ("dtype", "kind"),
        [
            (h5py.vlen_dtype(np.float64), "vlen"),
            (h5py.opaque_dtype("V16"), "opaque"),
            (np.dtype([("a", "f4"), ("b", h5py.string_dtype())]), "compound"),
        ],
    )
    def test_types_that_no_dataset_needs(self, path, dtype, kind):
        with h5py.File(path, "w") as file:
            file.attrs["units"] = "m"
            space = h5py.h5s.create_simple((1,))
            h5py.h5a.create(file.id, b"strange", h5py.h5t.py_create(dtype, logical=1), space)
        refused(path, f"/: attribute strange: the class {kind} is not allowed")

    def test_those_of_the_well_and_of_netcdf(self, path):
        with h5py.File(path, "w") as file:
            scale = file.create_dataset("x", data=np.arange(3.0))
            scale.make_scale("x")
            for i in range(3):
                file[f"u{i}"] = np.zeros(3)
                file[f"u{i}"].dims[0].attach_scale(scale)
            file.attrs["field_names"] = ["temperature", "pressure"]
            file.attrs["names"] = np.array([], h5py.string_dtype())
            file.attrs["dim_varying"] = [True, False]
            file.attrs["empty"] = h5py.Empty("f4")
        open_untrusted(path).close()


class TestDamage:
    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 5000])
    def test_not_hdf5(self, path, content):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"hostile.hdf5: not readable as HDF5"):
            open_untrusted(path)

    def test_truncated(self, path):
        with h5py.File(path, "w") as file:
            file["u"] = np.zeros(1000)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(DatasetError, match=r"hostile.hdf5: not readable .*truncated"):
            open_untrusted(path)

    def test_folders_and_what_is_not_there(self, tmp_path):
        with pytest.raises(UnsafeFile, match="not a regular file"):
            open_untrusted(tmp_path)
        with pytest.raises(FileNotFoundError):
            open_untrusted(tmp_path / "nothing.hdf5")

    def test_garbled_bytes_never_get_further_than_an_error(self, path, tmp_path):
        """Each of many bytes of the metadata inverted: opened or refused, and nothing else."""
        with h5py.File(path, "w") as file:
            file.create_dataset("g/u", data=np.arange(64.0), chunks=(16,), compression="gzip")
            file["g/u"].attrs["units"] = "m"
            file["g/u"].attrs["names"] = ["a", "b"]
        sound = path.read_bytes()
        outcomes = {"opened": 0, "refused": 0}
        for position in range(0, min(len(sound), 4096), 7):
            garbled = bytearray(sound)
            garbled[position] ^= 0xFF
            victim = tmp_path / "garbled.hdf5"
            victim.unlink(missing_ok=True)
            victim.write_bytes(garbled)
            try:
                open_untrusted(victim).close()
                outcomes["opened"] += 1
            except DatasetError:
                outcomes["refused"] += 1
        assert outcomes["refused"] > 20
        assert outcomes["opened"] > 20


class TestMemory:
    def test_a_file_that_has_changed_is_looked_at_again(self, path, secret):
        with h5py.File(path, "w") as file:
            file["u"] = 1.0
        open_untrusted(path).close()
        with h5py.File(path, "a") as file:
            file["v"] = h5py.ExternalLink(secret.name, "key")
        refused(path, "/v: an external link")

    def test_a_file_that_has_not_is_not(self, path, monkeypatch):
        with h5py.File(path, "w") as file:
            file["u"] = 1.0
        open_untrusted(path).close()
        monkeypatch.delattr(untrusted, "_Inspection")
        with open_untrusted(path, rdcc_nbytes=2**20) as file:
            assert file["u"][()] == 1.0


@pytest.fixture(scope="module")
def made(generate_here, tmp_path_factory):
    return generate_here(TOY, 5, tmp_path_factory.mktemp("hostile") / "toy")


class TestDatasets:
    """Everything that reads shards refuses."""

    @pytest.fixture
    def copy(self, made, tmp_path):
        return simulations.Dataset(shutil.copytree(made.path, tmp_path / "toy"))

    def test_what_the_library_writes_passes(self, made):
        for split in layout.SPLITS:
            for shard in made.shards(split):
                open_untrusted(shard).close()

    def test_no_way_around(self, copy, secret):
        with h5py.File(copy.shards("train")[0], "a") as file:
            del file["theta"]
            file["theta"] = h5py.ExternalLink(str(secret), "key")
        for read in (copy.load, copy.to_xarray):
            with pytest.raises(UnsafeFile, match="/theta: an external link is not allowed"):
                read("train")

    def test_our_own_shards_are_read_without_their_text(self, copy, made):
        """HDF5 may never come back from text whose heap is damaged."""
        shard = copy.shards("train")[0]
        content = bytearray(shard.read_bytes())
        start = content.find(b"GCOL")
        while start >= 0:
            content[start : start + 64] = bytes(64)
            start = content.find(b"GCOL")
        shard.write_bytes(content)
        with h5py.File(shard) as file, pytest.raises((OSError, RuntimeError)):
            file["t0_fields"].attrs["field_names"]
        assert np.array_equal(
            copy.load("train").fields["theta"], made.load("train").fields["theta"]
        )
        assert copy.to_xarray("train").identical(made.to_xarray("train"))

    @pytest.mark.parametrize(
        ("name", "value", "complaint"),
        [
            ("theta", np.zeros((1, 3, 12, 7), "f4"), r"theta has shape \(1, 3, 12, 7\), not"),
            ("kappa", np.zeros((), "f4"), r"kappa has shape \(\), not"),
            ("offset", np.array([["a"]], "S1")[0], r"offset holds no numbers but \|S1"),
        ],
    )
    def test_variables_other_than_declared(self, copy, name, value, complaint):
        with h5py.File(copy.shards("train")[0], "a") as file:
            del file[name]
            file[name] = value
        with pytest.raises(DatasetError, match=complaint):
            copy.load("train")

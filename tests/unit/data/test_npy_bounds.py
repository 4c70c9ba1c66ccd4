"""Arrays that ask for more than their bytes hold are refused before memory is taken, with the size and the limit."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy_format

from decortex.data.npy import ALLOWANCE_BYTES, array_from_bytes, read_array, read_header, read_npz
from decortex.errors import DatasetError

GIGABYTE = 10**9


def head(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    buffer = io.BytesIO()
    npy_format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize("code", [0x110000, 0xFFFFFFFF, 0xD800, 0xDFFF])
@pytest.mark.parametrize("order", ["<", ">"])
def test_text_with_characters_that_do_not_exist_is_refused(tmp_path: Path, code: int, order: str) -> None:
    codes = np.array([[ord("t"), 0], [0x10FFFF, 0xE000]], dtype=f"{order}u4")
    np.save(tmp_path / "words.npy", codes.view(f"{order}U2"))
    assert read_array(tmp_path / "words.npy").ravel().tolist() == ["t", "\U0010ffff\ue000"]
    codes[0, 1] = code
    np.save(tmp_path / "words.npy", codes.view(f"{order}U2"))
    with pytest.raises(DatasetError, match="characters that do not exist"):
        read_array(tmp_path / "words.npy")


@pytest.mark.parametrize(
    ("shape", "descr", "message"),
    [
        ((-1,), "<f8", r"shape \(-1,\) of float64.*expected sides of 0 to"),
        ((-4, -2), "<f8", r"shape \(-4, -2\)"),
        ((10**12,), "|S0", "whose numbers take 0 bytes each"),
        ((10**12,), "<U0", "whose numbers take 0 bytes each"),
        ((0, 2**62), "<f8", "expected sides of 0 to"),
        ((5 * GIGABYTE,), "<f8", r"cut short: 40000000\d+ bytes expected"),
        ((1,) * 40, "<f8", "the shape has 40 axes"),
        ((0, 2**40, 2**40), "<f8", "expected sides of 0 to"),  # numpy multiplies the other sides
    ],
)
def test_a_header_that_no_array_has_is_refused(
    tmp_path: Path, shape: tuple[int, ...], descr: str, message: str
) -> None:
    data = head(shape, descr) + b"\0" * 64
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    for read in (read_header, read_array, lambda path: array_from_bytes(path.read_bytes(), "stored")):
        tracemalloc.start()
        with pytest.raises(DatasetError, match=message):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 10**7
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "(" * 9000,
        "{'descr': " + "[" * 3000 + "]" * 3000 + "}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "-" * 5000 + "1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }",
    ],
    ids=["open", "deep", "minus", "digits", "truth"],
)
def test_a_header_that_breaks_pythons_parser_is_refused(text: str) -> None:
    """numpy hands the text to it, which gives up in ways of its own."""
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\0" * 64
    with pytest.raises(DatasetError, match="header that cannot be read") as refused:
        array_from_bytes(data, "stored")
    assert len(str(refused.value)) < 500


def test_a_file_of_holes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "holes.npy"
    with path.open("wb") as file:
        file.write(head((5 * GIGABYTE,)))
        file.truncate(40 * GIGABYTE + 128)
    with pytest.raises(DatasetError, match=r"takes 40,000,000,128 bytes, the disk holds .* the limit is"):
        read_array(path)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 3, 4)])
def test_arrays_are_read_as_they_were_saved(tmp_path: Path, shape: tuple[int, ...], order: str) -> None:
    wanted = np.asarray(np.arange(int(np.prod(shape))).reshape(shape), order=order)
    path = tmp_path / "x.npy"
    np.save(path, wanted)
    for found in (read_array(path), array_from_bytes(path.read_bytes(), "x")):
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype
    np.savez_compressed(tmp_path / "x.npz", one=wanted, two=wanted + 1)
    again = dict(read_npz(tmp_path / "x.npz"))
    np.testing.assert_array_equal(again["two"], wanted + 1)
    assert list(again) == ["one", "two"]


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    size = ALLOWANCE_BYTES + 2**24
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as file:
        file.write(head((size // 8,)))
        for _ in range(size // 2**22):
            file.write(bytes(2**22))
    assert path.stat().st_size < 10**6
    with pytest.raises(DatasetError, match=r"'a\.npy' it unpacks to .* the limit for a file of this size is"):
        list(read_npz(path))


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\3\4 and nothing of the kind")
    with pytest.raises(DatasetError, match=r"x\.npz is damaged, or no \.npz file"):
        list(read_npz(path))


def test_a_size_that_an_archive_understates_bounds_what_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", head((2**23,)) + bytes(2**26))
    content = path.read_bytes()
    directory = content.rindex(b"PK\1\2")
    path.write_bytes(content[: directory + 24] + (200).to_bytes(4, "little") + content[directory + 28 :])
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match=r"x\.npz is damaged"):
            list(read_npz(path))
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_an_array_that_is_there_twice_or_packed_otherwise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones(3))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.npy", head((1,)) + bytes(8))
    with pytest.raises(DatasetError, match=r"holds 'a\.npy' more than once"):
        list(read_npz(path))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", head((1,)) + bytes(8))
    with pytest.raises(
        DatasetError, match=r"'a\.npy' is packed by method 12, but should be packed by deflate"
    ):
        list(read_npz(path))

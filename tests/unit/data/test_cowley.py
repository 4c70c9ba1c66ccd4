"""Expanding the macaque V4 recordings: synthetic archives in both layouts, faults, and the real ones."""

import importlib.util
import io
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from support.foreign_folders import jpeg, scene, write_zip

from decortex.data import (
    REFERENCE_SESSIONS,
    StoredImage,
    animal_of,
    draw_tiers,
    image_id,
    import_cowley_v4,
    open_filetree,
)
from decortex.data import npy as reading
from decortex.errors import DatasetError, InputError

SIZE = 112


def brighter(pixels: np.ndarray) -> np.ndarray:
    return np.clip(pixels.astype(int) + 3, 0, 255).astype(np.uint8)


RAWS = {
    "190923": [jpeg(scene(n)) for n in range(12)],
    # shares two images with the first session and has a near-identical twin of another
    "201025": [jpeg(scene(n)) for n in (100, 3, 4)] + [jpeg(brighter(scene(5)))],
}
RESPONSES = {
    name: np.random.default_rng(len(raws)).gamma(2.0, size=(n_neurons, len(raws)))
    for (name, raws), n_neurons in zip(RAWS.items(), (5, 3), strict=True)
}


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Zips and averaged responses side by side."""
    source = tmp_path / "flat"
    source.mkdir()
    for name, raws in RAWS.items():
        write_zip(source / f"images_{name}.zip", raws)
        np.save(source / f"resp_avg_{name}.npy", RESPONSES[name])
    return source


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The upstream's folders, raw responses under the same file name included."""
    root = tmp_path / "clone" / "data_V4_responses"
    for name in ("images", "responses_raw", "responses_repeat_averaged"):
        (root / name).mkdir(parents=True)
    for name, raws in RAWS.items():
        write_zip(root / "images" / f"images_{name}.zip", raws)
        np.save(root / "responses_raw" / f"responses_{name}.npy", RESPONSES[name][..., None])
        np.save(root / "responses_repeat_averaged" / f"responses_{name}.npy", RESPONSES[name])
    np.save(root / "responses_repeat_averaged" / "responses_211103.npy", np.ones((2, 2)))
    return root.parent


def test_sessions_are_expanded_in_presentation_order(flat: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    import_cowley_v4(flat, tmp_path / "out", progress=seen.append)
    assert seen == [
        "session 190923 (1 of 2): 5 neurons, 12 images",
        "session 201025 (2 of 2): 3 neurons, 4 images",
    ]
    opened = open_filetree(tmp_path / "out")
    assert opened.image_shape == (1, 56, 56)
    assert opened.neurons["animal"].tolist() == ["WE"] * 5 + ["PE"] * 3
    assert set(opened.neurons["area"]) == {"V4"}
    for session in opened.sessions:
        raws, every = RAWS[session.name], np.arange(session.n_trials)
        np.testing.assert_array_equal(session.image_ids, [image_id(raw) for raw in raws])
        np.testing.assert_array_equal(
            session.responses.read(every), RESPONSES[session.name].T.astype(np.float32)
        )
        grey = [np.asarray(Image.open(io.BytesIO(raw)).convert("L"), dtype=float) for raw in raws]
        blocks = np.array(grey).reshape(-1, 1, 56, 2, 56, 2).mean(axis=(3, 5))
        np.testing.assert_allclose(session.images.read(every), blocks, atol=0.51)  # Pillow rounds


def test_both_layouts_give_the_same_bytes(flat: Path, clone: Path, tmp_path: Path) -> None:
    import_cowley_v4(flat, tmp_path / "one")
    import_cowley_v4(clone, tmp_path / "two")
    assert open_filetree(tmp_path / "one").content_sha256 == open_filetree(tmp_path / "two").content_sha256


def test_colour_keeps_three_channels(flat: Path, tmp_path: Path) -> None:
    import_cowley_v4(flat, tmp_path / "out", size=SIZE, rgb=True, sessions=["201025"])
    opened = open_filetree(tmp_path / "out")
    assert [session.name for session in opened.sessions] == ["201025"]
    assert opened.image_shape == (3, SIZE, SIZE)
    expected = np.asarray(Image.open(io.BytesIO(RAWS["201025"][0])), dtype=np.float32).transpose(2, 0, 1)
    np.testing.assert_array_equal(opened.sessions[0].images.read(np.array([0]))[0], expected)


def test_twins_share_a_tier_over_sessions(flat: Path, tmp_path: Path) -> None:
    import_cowley_v4(flat, tmp_path / "out")
    first, second = open_filetree(tmp_path / "out").sessions
    assert second.tiers[1:].tolist() == first.tiers[3:6].tolist()


def test_tiers_of_chains_follow_the_smallest_id_of_the_group() -> None:
    rng = np.random.default_rng(0)
    raws = [jpeg(scene(n)) for n in range(120)]
    twins = {raws[n]: jpeg(brighter(scene(n))) for n in range(0, 120, 3)}
    tiers = draw_tiers(StoredImage("", raw) for raw in [*raws, *twins.values()])
    for raw, twin in twins.items():
        word = {0: "test", 1: "validation"}.get(min(image_id(raw), image_id(twin)) % 10, "train")
        assert tiers[image_id(raw)] == tiers[image_id(twin)] == word
    assert {tiers[image_id(raw)] for raw in raws} == {"train", "validation", "test"}
    shuffled = [raws[n] for n in rng.permutation(len(raws))]
    assert draw_tiers(StoredImage("", raw) for raw in [*twins.values(), *shuffled]) == tiers


def test_fewer_sessions_keep_their_tiers(flat: Path, tmp_path: Path) -> None:
    import_cowley_v4(flat, tmp_path / "all")
    import_cowley_v4(flat, tmp_path / "one", sessions=["201025"])
    np.testing.assert_array_equal(
        open_filetree(tmp_path / "one").sessions[0].tiers, open_filetree(tmp_path / "all").sessions[1].tiers
    )


def test_animals_follow_the_date() -> None:
    assert [animal_of(name) for name in ("190923", "201016", "210326", "210620", "211103")] == [
        "WE",
        "PE",
        "PE",
        "RA",
        "RA",
    ]


def refuse(source: Path, out: Path, message: str, **options: object) -> None:
    with pytest.raises(DatasetError, match=message):
        import_cowley_v4(source, out, **options)
    assert not out.exists()
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".")]


def test_faults_are_named_and_leave_nothing(flat: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refuse(tmp_path / "nowhere", out, "should be a clone of .*V4_compact_models.*but it is no folder")
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "empty", out, "but no session was found in it")
    refuse(
        flat,
        out,
        r"images_190924\.zip is missing\. Complete sessions there: 190923, 201025",
        sessions=["190924"],
    )
    np.save(flat / "resp_avg_201025.npy", RESPONSES["201025"][:, :-1])
    refuse(
        flat,
        out,
        r"session 201025: .* shape \(neurons, 4\), one column .*images_201025\.zip, but has \(3, 3\)",
    )
    (flat / "resp_avg_201025.npy").unlink()
    refuse(flat, out, "averaged responses of 201025 is missing")
    np.save(flat / "resp_avg_201025.npy", RESPONSES["201025"])
    (flat / "images_201025.zip").write_text("version https://git-lfs.github.com/spec/v1")
    refuse(flat, out, r"images_201025\.zip should be a zip archive of JPEG images")
    write_zip(flat / "images_201025.zip", [b"no picture"] * 4)
    refuse(
        flat,
        out,
        r"session 201025: 'image0001\.jpg' of .*images_201025\.zip should be a JPEG image, .*no pictu'",
    )
    (flat / "images_201025.zip").unlink()
    refuse(flat, out, r"images_201025\.zip is missing")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((0, 4)), r"resp_avg_201025\.npy should hold one neuron or more, but has shape \(0, 4\)"),
        (RESPONSES["201025"] * 1j, "should hold real numbers, but holds complex128"),
        (np.full((3, 4), "many"), "should hold real numbers, but holds <U4"),
        (np.full((3, 4), np.nan), "finite and not negative as float32, but 12 are not"),
        (np.full((3, 4), 1e39), "finite and not negative as float32, but 12 are not"),
        (np.full((3, 4), -1.0), "finite and not negative as float32, but 12 are not"),
    ],
    ids=["no neuron", "complex", "text", "nan", "beyond float32", "negative"],
)
def test_responses_that_are_no_numbers_are_refused(
    flat: Path, tmp_path: Path, values: np.ndarray, message: str
) -> None:
    np.save(flat / "resp_avg_201025.npy", values)
    refuse(flat, tmp_path / "out", message)


def test_an_archive_without_images_or_with_damaged_ones_is_refused(flat: Path, tmp_path: Path) -> None:
    write_zip(flat / "images_201025.zip", [])
    refuse(flat, tmp_path / "out", r"images_201025\.zip holds no \.jpg image")
    refuse(flat, tmp_path / "out", r"images_201025\.zip holds no \.jpg image", sessions=["201025"])
    write_zip(flat / "images_190923.zip", [])
    refuse(flat, tmp_path / "out", r"images_190923\.zip holds no \.jpg image")
    write_zip(flat / "images_190923.zip", RAWS["190923"])
    with zipfile.ZipFile(flat / "images_201025.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image0001.jpg", bytes(10_000))
    content = bytearray((flat / "images_201025.zip").read_bytes())
    content[45] ^= 0xFF  # within what is deflated
    (flat / "images_201025.zip").write_bytes(content)
    refuse(flat, tmp_path / "out", r"images_201025\.zip should be a zip archive of JPEG images, but: ")


def as_format(name: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(scene(4)).save(stream, name)
    return stream.getvalue()


# A damaged DDS raised NotImplementedError, and for a picture in PostScript (EPS) Pillow starts the program gs.
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (as_format("PNG"), r"should be a JPEG image, but starts with b'.x89PNG"),
        (as_format("DDS"), "should be a JPEG image, but starts with b'DDS "),
        (as_format("EPS"), "should be a JPEG image, but starts with b'%!PS-Ado'"),
        (RAWS["201025"][3][:900], r"cannot be decoded \(OSError: image file is truncated"),
        (b"", r"should be a JPEG image, but starts with b'' \(0 bytes\)"),
        (jpeg(scene(4)[:56]), "should be 112 x 112 pixels, but is 112 x 56"),
        (jpeg(scene(4)[:56, :56]), "should be 112 x 112 pixels, but is 56 x 56"),
    ],
    ids=["PNG", "DDS", "PostScript", "cut short", "empty", "not square", "smaller"],
)
def test_an_image_that_is_not_what_was_published_is_named(
    flat: Path, tmp_path: Path, raw: bytes, message: str
) -> None:
    write_zip(flat / "images_201025.zip", [*RAWS["201025"][:3], raw])
    refuse(
        flat,
        tmp_path / "out",
        rf"^session 201025: 'image0004\.jpg' of \S*images_201025\.zip {message}(?!.* at 0x)",
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_image_that_is_there_twice_is_refused(flat: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(flat / "images_201025.zip", "a") as archive:
        archive.writestr("image0002.jpg", RAWS["201025"][0])
    refuse(flat, tmp_path / "out", r"images_201025\.zip holds 'image0002\.jpg' more than once")


def test_images_that_unpack_to_far_more_than_their_archive_are_refused(
    flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ALLOWANCE_BYTES", 10**6)
    import_cowley_v4(flat, tmp_path / "whole")
    with zipfile.ZipFile(flat / "images_201025.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):  # each of them is within the limit
            archive.writestr(f"image{number}.jpg", bytes(300_000))
    refuse(flat, tmp_path / "out", r"up to its member 'image3\.jpg' it unpacks to 1,200,000 bytes, the limit")


@pytest.mark.parametrize("names", [("image2.jpg", "image10.jpg"), ("9.JPG", "10.JPG")])
def test_numbers_without_leading_zeros_do_not_tell_the_order(
    flat: Path, tmp_path: Path, names: tuple[str, str]
) -> None:
    with zipfile.ZipFile(flat / "images_201025.zip") as archive:
        pictures = [archive.read(name) for name in sorted(archive.namelist())]
    with zipfile.ZipFile(flat / "images_201025.zip", "w") as archive:
        for name, picture in zip(("image0.jpg", "image1.jpg", *names), pictures, strict=False):
            archive.writestr(name, picture)
    refuse(flat, tmp_path / "out", r"session 201025: the numbers in the names .* with leading zeros")


def test_a_session_twice_is_refused(flat: Path, tmp_path: Path) -> None:
    (flat / "copy").mkdir()
    write_zip(flat / "copy" / "images_190923.zip", RAWS["190923"])
    refuse(flat, tmp_path / "out", "holds session 190923 twice")


def test_a_size_that_is_not_there_is_refused(flat: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="size should be 8 to 112 pixels"):
        import_cowley_v4(flat, tmp_path / "out", size=224)


@pytest.fixture(scope="module")
def reference_script(shared_data: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare_v4", shared_data / "prepare_v4.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.real_data
def test_the_recordings_expand_as_the_reference_script_does(
    shared_data: Path, reference_script: ModuleType, tmp_path: Path
) -> None:
    source, session = shared_data / "macaque_v4", "210305"
    import_cowley_v4(source, tmp_path / "ours", sessions=[session])
    tiers = reference_script.tiers_of(source, sorted(REFERENCE_SESSIONS))
    reference_script.expand(source, session, tmp_path / "theirs", 56, False, tiers)
    files = [
        sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
        for root in (tmp_path / "ours", tmp_path / "theirs")
    ]
    assert files[0] == files[1]
    for name in files[0]:
        ours, theirs = tmp_path / "ours" / name, tmp_path / "theirs" / name
        if "statistics" in name.parts:  # ours are summed in double precision
            np.testing.assert_allclose(np.load(ours), np.load(theirs), rtol=1e-5)
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name
    opened = open_filetree(tmp_path / "ours")
    assert opened.n_neurons == 70
    assert opened.sessions[0].n_trials == 400

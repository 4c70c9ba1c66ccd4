"""The report of a study: complete, self-contained, the same twice, and hostile names stay text."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from small_lab import CHOICE, TESTS, fill, plan_for

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex_ops.cli import main
from decortex_ops.reports import cell, find_browser, flat, geometry_sentence, methods_text, report
from decortex_schemas import queries
from decortex_schemas.queries import best_k, specifications
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import freeze_study

HOSTILE = "<script>alert(1)</script>\"'&$x_1$"


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def written(lab: str) -> str:
    return report(lab)


def test_it_holds_what_the_queries_say(lab: str, written: str) -> None:
    text = " ".join(" ".join(Page(written).words).split())
    for row in queries.results(lab):
        assert cell(row["ari_seeds"]) in text
        assert cell(row["correlation_after"]) in text
    frozen = (schemas.FrozenStudy & {"study": lab}).fetch1()
    assert frozen["members_sha256"] in text
    assert f"{frozen['n_members']} partitions, 0 failed" in text
    assert "This study asked for no null models" in text
    assert "decortex provenance DECFinetune" in text
    geometry = queries.geometries(lab)
    assert len(geometry) == 3
    assert geometry_sentence(geometry) in text
    for row in geometry:
        assert cell(row["rdm_correlation"], "rdm_correlation") in text
    assert "Communities of neurons" not in text  # this study asked for none


def test_a_choice_of_k_is_reported_with_its_reasons(selection: str) -> None:
    page = Page(report(selection))
    text = " ".join(" ".join(page.words).split())
    (row,) = best_k(selection)
    assert row["decision"] is None
    assert "No K is supported" in text
    for count in row["counts"]:
        for kind in CHOICE["nulls"]:
            assert cell(count["excess"]["stability"][kind]["z"]) in text
        assert ", ".join(count["reasons"]) in text
    assert "2 surrogates" in text
    assert "This study asked for no null models" not in text


def test_its_methods_name_the_parameters_that_were_used(lab: str, written: str) -> None:
    text = " ".join(" ".join(Page(written).words).split())
    for words in (
        "covariance = diag",
        "batches of 32 images, at most 2 epochs",
        "Each was run at K = 2, 3 with the seeds 0, 1.",
        "'dec_joint' trains the network on with the DEC loss together with the prediction loss (",
        "beta = 0.1; kind = dec_joint",
        "9,999 permutations",
    ):
        assert words in text, words
    for row in specifications(lab)["methods"]:
        for name, value in flat(row["params"]):
            assert f"{name} = {value}" in text


def test_it_needs_nothing_from_anywhere(lab: str, written: str) -> None:
    page = Page(written)
    assert not {"script", "link", "iframe", "object", "form", "base"} & set(page.tags)
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in page.addresses)
    images = [address for address in page.addresses if address.startswith("data:")]
    assert len(images) >= 6
    for address in images:
        assert base64.b64decode(address.partition(",")[2]).startswith(b"<?xml")
    assert "default-src 'none'" in written
    assert "Not drawn" not in written
    anchors = {address[1:] for address in page.addresses if address.startswith("#")}
    assert anchors == set(re.findall(r'<h2 id="([a-z]+)"', written))


def test_hostile_names_are_text(lab: str) -> None:
    methods = [{"method": "kmeans", "name": HOSTILE[:60], "params": {"n_init": 7, "max_iter": 299}}]
    plan = plan_for("small", description=HOSTILE, methods=methods, counts=[4], seeds=[0], finetunings=[])
    declare_plan("<b>hostile</b>", plan)
    fill(few=TESTS)
    freeze_study("<b>hostile</b>")
    fill(few=TESTS)
    written = report("<b>hostile</b>")
    page = Page(written)
    assert not {"script", "b"} & set(page.tags)
    assert HOSTILE in " ".join(page.words)
    assert "<title>&lt;b&gt;hostile&lt;/b&gt;: report</title>" in written
    assert "This study fine-tuned nothing." in written


def test_methods_of_imported_networks_and_of_a_choice_of_k() -> None:
    specs: dict[str, Any] = {
        "networks": [
            {
                "model_name": "sota",
                "core": "imported",
                "readout": "gaussian",
                "network": None,
                "training": None,
            }
        ],
        "embeddings": [{"embedding_name": "raw", "kind": "raw", "params": {"rotation": "fft"}}],
        "methods": [
            {"method": "unheard", "method_name": "own", "algorithm_version": 3, "params": {"a": None}}
        ],
        "finetunings": [],
    }
    asked = {
        "counts": [2],
        "seeds": [0],
        "model_seeds": [1, 2],
        "subsamples": 4,
        "nulls": ["gaussian", "t"],
        "n_surrogates": 19,
    }
    text = dict(methods_text(specs, asked))
    assert "imported with its gaussian readout" in text["Networks"]
    assert "orientations together by 'fft'" in text["Embeddings"]
    assert "'own' is unheard (version 3; a = none)" in text["Clustering"]
    assert "4 random subsamples" in text["Clustering"]
    assert "19 surrogates of each of the null models gaussian, t" in text["Number of clusters"]
    assert "Fine-tuning" not in text


def test_the_command_writes_the_same_again(
    lab: str, written: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    target = tmp_path / "r.html"
    monkeypatch.setattr("sys.argv", ["decortex", "report", lab, "-o", str(target)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert written.startswith("<!doctype html>")
    assert target.read_text(encoding="utf-8") == written
    with pytest.raises(ConfigError, match="there is no study"):
        report("unheard")


def test_it_begins_with_the_five_answers(lab: str, written: str) -> None:
    text = " ".join(" ".join(Page(written).words).split())
    told = queries.answers(lab)
    places = [text.index(row["question"]) for row in told]
    assert places == sorted(places)
    assert places[-1] < text.index("Recordings whose neurons were clustered together")
    for row in told:
        assert row["answer"] in text
        assert " ".join(row["sentence"].replace("`", "").split()[:6]) in text
        if row["effect"] is not None:
            assert f"compared with {row['compared_with']}" in text


def run_report(lab: str, target: Path, monkeypatch: Any) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", "report", lab, "-o", str(target)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(str(caught.value.code))


@pytest.fixture
def drawn(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is not drawn again for what becomes of it; `test_the_command_writes_the_same_again` draws one."""
    monkeypatch.setattr("decortex_ops.reports.report", lambda study: written)


def test_a_pdf_is_a_pdf(lab: str, drawn: None, tmp_path: Path, monkeypatch: Any) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium; apt install chromium, or set CHROMIUM to its path")
    target = tmp_path / "r.pdf"
    assert run_report(lab, target, monkeypatch) == 0
    content = target.read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    sides = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", content)
    assert sides is not None
    assert [round(float(one)) for one in sides.groups()] == [595, 842], "A4 portrait"


def test_without_chromium_a_pdf_is_refused(
    lab: str, drawn: None, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for study in (lab, "unheard"):  # before anything is read, and drawn for nothing
        assert run_report(study, tmp_path / "r.pdf", monkeypatch) == 1
        said = " ".join(capsys.readouterr().err.split())
        assert "a PDF is printed by Chromium, and none is on this machine" in said
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "nothing"))
    assert run_report(lab, tmp_path / "r.pdf", monkeypatch) == 1
    assert "did not print the page" in capsys.readouterr().err
    assert run_report(lab, tmp_path / "r.docx", monkeypatch) == 1
    assert "written as .html or .htm or .pdf" in capsys.readouterr().err
    assert list(tmp_path.glob("r.*")) == []

"""What the site shows beside the pages of docs/: the README as its first page, tutorials, and a reference from the code.

mkdocs calls the functions named ``on_...``; `generated_pages` can be called alone. No database is needed.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "decortex",
    "decortex.clustering",
    "decortex.embeddings",
    "decortex.finetune",
    "decortex.evaluation",
    "decortex.evaluation.performance",
    "decortex.evaluation.agreement",
    "decortex.evaluation.labels",
    "decortex.evaluation.association",
    "decortex.evaluation.nulls",
    "decortex.evaluation.selection",
    "decortex.evaluation.splits",
    "decortex.figures",
    "decortex_schemas.queries",
)


def on_config(config: Any) -> Any:
    """List every page of docs/: what the navigation does not name stands under "More"."""
    missing = pages_left_out(str(config.nav))
    if missing:
        config.nav.append({"More": missing})
    return config


def pages_left_out(nav: str) -> list[str]:
    """Pages of docs/ that a navigation does not name."""
    named = set(re.findall(r"[a-z0-9_/-]+\.md", nav))
    return sorted({str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} - named)


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site."""
    from mkdocs.structure.files import File  # noqa: PLC0415

    for name, content in generated_pages().items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to what is no page and no picture of docs/ (code, plans, folders) become text: the site holds pages alone."""
    kept = r"https?:|#|[a-z0-9_./-]+\.(?:md|png)[)#]"
    return re.sub(rf"(?<!!)\[([^\]]+)\]\((?!{kept})[^)\s]*\)", r"\1", markdown)


def generated_pages() -> dict[str, str]:
    """Pages made here, by their place on the site."""
    pages = {
        "index.md": _first_page(),
        "changelog.md": _from_docs("CHANGELOG.md"),
        "reference/commands.md": "\n".join(_commands()),
        "reference/tables.md": "\n".join(_tables()),
        "reference/parameters.md": "\n".join(_parameters()),
        "reference/python.md": "\n".join(_python()),
    }
    for path in sorted((ROOT / "docs" / "tutorials").glob("*.py")):
        pages[f"tutorials/{path.stem}.md"] = tutorial_page(path.read_text(encoding="utf-8"))
    return pages


def tutorial_page(script: str) -> str:
    """A percent script as Markdown: its text, and its cells as code."""
    page = []
    for cell in re.split(r"^# %%", script, flags=re.M)[1:]:
        head, _, body = cell.partition("\n")
        if "[markdown]" in head:
            text = "\n".join(
                line.removeprefix("#").removeprefix(" ") for line in body.strip("\n").splitlines()
            )
            page.append(re.sub(r"(\]\(\d\d_[a-z_]+)\.md\)", r"\1.md)", text))
        else:
            page.append(f"```python\n{body.strip()}\n```")
    return "\n\n".join(page) + "\n"


def _from_docs(name: str) -> str:
    """A page of the repository's root, its links as seen from docs/."""
    return re.sub(r"\]\(docs/", "](", (ROOT / name).read_text(encoding="utf-8"))


def _first_page() -> str:
    text = _from_docs("README.md").replace('src="docs/', 'src="')
    text = text.replace("[docs/tutorials](tutorials)", "[tutorials](tutorials/01_how_many_types.md)")
    text = re.sub(r"\[CHANGELOG.md\]\(CHANGELOG.md\)", "[CHANGELOG.md](changelog.md)", text)
    return re.sub(r"\[([^\]]+)\]\((?:CONTRIBUTING\.md|docker-compose\.yml|LICENSE)\)", r"\1", text)


def _commands() -> Iterator[str]:
    import typer  # noqa: PLC0415

    from decortex_ops.cli import app  # noqa: PLC0415

    yield "# Commands\n\nMade from the help texts. Exit status: 0 ok, 1 failed, 2 usage, 3 some jobs failed. "
    yield "`decortex --install-completion` teaches your shell to complete them.\n"
    yield from _command_group("decortex", typer.main.get_command(app))


def _command_group(name: str, group: Any) -> Iterator[str]:
    for word, command in group.commands.items():
        whole = f"{name} {word}"
        if hasattr(command, "commands"):
            yield from _command_group(whole, command)
            continue
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join([whole, *(p.name.upper() for p in arguments)])
        yield f"## {whole}\n\n    {usage}\n"
        text, _, example = " ".join((command.help or "").split()).partition("Example: ")
        yield f"{_plain(text)}\n"
        if example:
            yield f"    {example.removesuffix('.')}\n"
        rows = [p for p in command.params if p.name != "help"]
        if rows:
            yield "| | |\n|---|---|"
            for one in rows:
                words = one.name.upper() if one in arguments else ", ".join(one.opts)
                yield f"| `{words}` | {_plain(getattr(one, 'help', None) or '')} |"
            yield ""


def _tables() -> Iterator[str]:
    from decortex_schemas.database import load_tables, schema  # noqa: PLC0415

    yield "# Tables\n\nMade from the definitions, in the order of the chain.\n"
    load_tables()
    for cls, _ in schema.declare_list:
        parts = [part for name, part in vars(cls).items() if name[0].isupper() and inspect.isclass(part)]
        for table in (cls, *parts):
            yield f"{'##' if table is cls else '###'} {table.__qualname__}\n"
            yield f"{_plain(inspect.getdoc(table) or '')}\n"
            yield f"```\n{inspect.cleandoc(str(table.definition))}\n```\n"


def _parameters() -> Iterator[str]:
    from decortex.clustering import get_method, methods  # noqa: PLC0415
    from decortex.data.simulation import SimulationConfig  # noqa: PLC0415
    from decortex.embeddings import EmbeddingConfig, ViewConfig  # noqa: PLC0415
    from decortex.evaluation.selection import SelectionConfig  # noqa: PLC0415
    from decortex.evaluation.splits import SplitConfig  # noqa: PLC0415
    from decortex.finetune import FinetuneConfig  # noqa: PLC0415
    from decortex.models import NetworkConfig  # noqa: PLC0415
    from decortex.models.training import TrainingConfig  # noqa: PLC0415

    yield "# Parameters\n\nMade from the configurations: name, default, meaning.\n"
    named = {
        "Simulated cortex": SimulationConfig,
        "Networks": NetworkConfig,
        "Training": TrainingConfig,
        "Embeddings": EmbeddingConfig,
        "Views": ViewConfig,
        "Fine-tuning": FinetuneConfig,
        "Choice of K": SelectionConfig,
        "Number of types": SplitConfig,
        **{f"Clustering: {name}": get_method(name).config for name in methods()},
    }
    for heading, config in named.items():
        yield f"## {heading}\n\n{_plain(inspect.getdoc(config) or '')}\n\n| | default | |\n|---|---|---|"
        for name, field in config.model_fields.items():
            default = (
                "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)}`"
            )
            yield f"| `{name}` | {default.replace('|', chr(92) + '|')} | {_plain(field.description or '')} |"
        yield ""


def _python() -> Iterator[str]:
    yield "# Python\n\nMade from the docstrings of what each package offers.\n"
    for name in PACKAGES:
        module = importlib.import_module(name)
        yield f"## {name}\n\n{_plain((inspect.getdoc(module) or '').splitlines()[0])}\n"
        for word, thing in _offered(module):
            yield f"### {name}.{word}\n\n```python\n{word}{_signature(thing)}\n```\n"
            yield f"```text\n{inspect.getdoc(thing) or ''}\n```\n"


def _offered(module: Any) -> Iterator[tuple[str, Any]]:
    own = getattr(module, "__all__", None)
    for word in own or sorted(vars(module)):
        thing = getattr(module, word)
        defined = inspect.isclass(thing) or inspect.isfunction(thing)
        if defined and (own or (thing.__module__ == module.__name__ and not word.startswith("_"))):
            yield word, thing


def _signature(thing: Any) -> str:
    try:
        return str(inspect.signature(thing)).replace("'", "")
    except ValueError:
        return "(...)"


def _plain(text: str) -> str:
    """A sentence as Markdown that shows its brackets and bars."""
    escaped = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    return re.sub(r"(?<!`)<([^>]*)>", r"&lt;\1&gt;", escaped)

"""`decortex register model | nnfabrik`: trained networks, by their checkpoints."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.output import err, out, print_json
from decortex_ops.cli.session import open_tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DATASET_HELP = "Dataset that recorded these neurons."
_NETWORK_HELP = "How the whole network is rebuilt: a published name ('sensorium'), or a JSON file or text."
_STATE_DICT_HELP = (
    "Path of the state dict to take where the file holds several, such as 'best_state_dict' ('.': its top)."
)
_MAP_HELP = "CSV with the columns neuron, dataset_neuron (empty: no recording)."


def model(
    checkpoint: Annotated[Path, typer.Argument(help="Torch file with a state dict.")],
    *,
    dataset_name: Annotated[str | None, typer.Option("--dataset", help=_DATASET_HELP)] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model family (default: the file's).")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed it was trained with.")] = 0,
    state_dict: Annotated[str | None, typer.Option(help=_STATE_DICT_HELP)] = None,
    embedding_key: Annotated[
        str | None,
        typer.Option(help="Key of the (neurons, features) tensor, where the readout is not known."),
    ] = None,
    mask_key: Annotated[
        str | None,
        typer.Option(
            help="Key of the masks that multiply it: neurons are turned so that these are positive."
        ),
    ] = None,
    masks: Annotated[
        str | None, typer.Option(help="Factorised readouts: 'free', or 'normalised' (normalize=True).")
    ] = None,
    network: Annotated[str | None, typer.Option(help=_NETWORK_HELP)] = None,
    builder: Annotated[
        str | None, typer.Option(help="'module:function' that builds the network, where none here does.")
    ] = None,
    builder_config: Annotated[
        str, typer.Option(help="Its keyword arguments, as a JSON file or text.")
    ] = "{}",
    neuron_map: Annotated[Path | None, typer.Option(help=_MAP_HELP)] = None,
    own_responses: Annotated[
        bool, typer.Option(help="Take its own responses to natural images as recordings.")
    ] = False,
    own_frames: Annotated[
        int | None,
        typer.Option(min=2, help="Of a network of movies, with --own-responses: frames per clip."),
    ] = None,
) -> None:
    """Register a trained network. Example: decortex register model sensorium_sota_model.pth --network sensorium."""
    if masks not in (None, "free", "normalised"):
        raise ConfigError(f"--masks is {masks!r}; it is 'free' or 'normalised'.")
    register(
        checkpoint,
        dataset=dataset_name,
        name=name,
        seed=seed,
        state_dict=state_dict,
        embedding_key=embedding_key,
        mask_key=mask_key,
        masks=masks,
        rebuild=rebuild_option(network),
        builder=builder,
        builder_config=None if builder is None else json_option("--builder-config", builder_config),
        neuron_map=None if neuron_map is None else read_map(neuron_map),
        own_responses=own_option(own_responses, own_frames),
    )


def nnfabrik(
    checkpoint: Annotated[Path, typer.Argument(help="The row's model_state: a file with a state dict.")],
    row: Annotated[
        Path, typer.Argument(help="The row (or several) as JSON: model_fn, model_config and the hashes.")
    ],
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(help="column=value of the row to take, where the file holds several; may be repeated."),
    ] = None,
    dataset_name: Annotated[str | None, typer.Option("--dataset", help=_DATASET_HELP)] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model family (default: the file's).")] = None,
    state_dict: Annotated[str | None, typer.Option(help=_STATE_DICT_HELP)] = None,
    embedding_key: Annotated[
        str | None,
        typer.Option(help="Key of the (neurons, features) tensor, where the readout is not known."),
    ] = None,
    image_shape: Annotated[
        str | None, typer.Option(help="channels,height,width of its images, where no dataset tells.")
    ] = None,
    neuron_map: Annotated[Path | None, typer.Option(help=_MAP_HELP)] = None,
    own_responses: Annotated[
        bool, typer.Option(help="Take its own responses to natural images as recordings.")
    ] = False,
) -> None:
    """Register a row of an nnfabrik TrainedModel table. Example: decortex register nnfabrik model.pth.tar row.json."""
    from decortex.models.checkpoints import read_row

    found = read_row(_json("ROW", str(row), (dict, list)), where=_columns(where or []))
    shape = None if image_shape is None else _shape(image_shape)
    # Without the size of its images only the readout can be registered.
    rebuilt = None if shape is None and dataset_name is None else found.rebuild_config(shape)
    register(
        checkpoint,
        dataset=dataset_name,
        name=name or found.name,
        seed=found.seed,
        state_dict=state_dict,
        embedding_key=embedding_key,
        rebuild=rebuilt,
        builder=None if rebuilt is not None or dataset_name is None else found.builder,
        builder_config=None if rebuilt is not None or dataset_name is None else dict(found.model_config),
        neuron_map=None if neuron_map is None else read_map(neuron_map),
        own_responses=own_option(own_responses),
        family=found.family,
    )


def register(checkpoint: Path, **options: Any) -> None:
    """Register and say under which key."""
    from decortex_schemas.register import register_checkpoint
    from decortex_schemas.tables import Dataset, scored_against

    open_tables(role="author")
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", UserWarning)
        key = register_checkpoint(checkpoint, **options)
    for remark in remarks:
        err.print(f"warning: {remark.message}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    n_neurons = (Dataset & {"dataset": key["dataset"]}).fetch1("n_neurons")
    predicts = options.get("rebuild") is not None or options.get("builder") is not None
    say = f"scores will be against {scored_against(key['dataset'])}" if predicts else "its readout alone"
    out.print(f"registered {n_neurons} neurons, {say}; the network's key, for a study:", highlight=False)
    print_json(key)


def rebuild_option(text: str | None) -> Any:
    """A published name, or a RebuildConfig out of a JSON file or text."""
    from decortex.models.checkpoints import PUBLISHED, RebuildConfig

    if text is None or text in PUBLISHED:
        return text
    return RebuildConfig.from_params(json_option("--network", text))


def own_option(asked: bool, n_frames: int | None = None) -> Any:
    """The default images, or clips of this length, if a network's own responses are asked for."""
    from decortex.models import OwnResponsesConfig

    if n_frames is None:
        return OwnResponsesConfig() if asked else None
    if not asked:
        raise ConfigError("--own-frames is of a network's own responses: give --own-responses with it.")
    return OwnResponsesConfig(n_train=240, n_validation=20, n_test=20, n_frames=n_frames)


def json_option(name: str, text: str) -> dict[str, Any]:
    """Read an object from JSON text, or from a file that holds it."""
    found: dict[str, Any] = _json(name, text, (dict,))
    return found


def _json(name: str, text: str, kinds: tuple[type, ...]) -> Any:
    content = text if text.lstrip().startswith(("{", "[")) else _read(name, Path(text))
    try:
        found = json.loads(content)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name} is not JSON ({error}).") from None
    if not isinstance(found, kinds):
        expected = "an object in braces" + (", or a list of them" if list in kinds else "")
        raise ConfigError(f"{name} holds a {type(found).__name__}; expected {expected}.")
    return found


def _columns(where: list[str]) -> dict[str, str]:
    """The columns and values of --where."""
    found = {}
    for text in where:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise ConfigError(f"--where is {text!r}; expected column=value, for example seed=1.")
        found[name.strip()] = value.strip()
    return found


def read_map(path: Path) -> NDArray[np.int64]:
    """Read a neuron map, one row per neuron of the checkpoint, in any order.

    Raises
    ------
    ConfigError
        If a column is missing, or the neurons are not 0 to n - 1, each once.
    InputError
        If the file is no table (`decortex.data.tables.read_text_table`).
    """
    import numpy as np
    import pandas as pd

    from decortex.data.tables import missing, read_text_table

    table = read_text_table(path)
    lacking = {"neuron", "dataset_neuron"} - set(table.columns)
    if lacking:
        raise ConfigError(
            f"the neuron map {str(path)!r} lacks the columns {sorted(lacking)}; it has {list(table.columns)}."
        )
    neurons = pd.to_numeric(table["neuron"], errors="coerce").to_numpy(dtype=np.float64)
    if sorted(neurons.tolist()) != list(range(len(neurons))):
        raise ConfigError(
            f"the column 'neuron' of {str(path)!r} should name 0 to {len(neurons) - 1}, each once."
        )
    nowhere = missing(table["dataset_neuron"])
    words = table["dataset_neuron"].where(~nowhere, "-1")
    places = pd.to_numeric(words, errors="coerce").to_numpy(dtype=np.float64)
    if not (np.isfinite(places) & (places == np.round(places))).all():
        raise ConfigError(f"the column 'dataset_neuron' of {str(path)!r} holds whole numbers, or nothing.")
    mapped = np.empty(len(neurons), dtype=np.int64)
    mapped[neurons.astype(np.int64)] = places.astype(np.int64)
    return mapped


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name} names no file that can be read: {error}.") from None


def _shape(text: str) -> tuple[int, int, int]:
    parts = [int(part) for part in text.split(",") if part.strip().isdigit()]
    if len(parts) != 3:
        raise ConfigError(f"--image-shape is {text!r}; expected channels,height,width, for example 1,36,64.")
    return parts[0], parts[1], parts[2]

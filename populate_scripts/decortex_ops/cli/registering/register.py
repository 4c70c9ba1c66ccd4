"""`decortex register dataset | simulation`: recordings and simulated cortices, by name. Networks: register_model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.output import err, out
from decortex_ops.cli.session import open_tables

app = typer.Typer(help="Register recordings and trained networks.", no_args_is_help=True)


@app.command()
def dataset(
    folder: Annotated[Path, typer.Argument(help="A session folder, or a folder of session folders.")],
    *,
    name: Annotated[str | None, typer.Option(help="Name of the dataset (default: the folder's).")] = None,
    species: Annotated[str, typer.Option(help="For example 'macaque'.")] = "",
    behaviour: Annotated[
        list[str] | None,
        typer.Option(
            help="A folder of data/ to add to the images as channels, for example behavior; repeat."
        ),
    ] = None,
    frame_rate: Annotated[
        float | None, typer.Option(help="Of movies: frames per second, where the folder does not say it.")
    ] = None,
    test_movie: Annotated[
        list[str] | None,
        typer.Option(help="Of a folder with stimuli/ and .h5 files: a movie that tests networks; repeat."),
    ] = None,
    clip_frames: Annotated[
        int, typer.Option(min=2, help="Of the same: frames per clip that training movies are cut into.")
    ] = 150,
) -> None:
    """Register recordings of images or movies. Example: decortex register dataset recordings/v4 --species macaque."""
    from decortex_schemas.tables import register_folder, register_h5_folder

    open_tables(role="author")
    name = name or folder.resolve().name
    if (folder / "stimuli").is_dir():
        from decortex.data import MovieSplit

        if not test_movie or frame_rate is None:
            raise ConfigError(
                f"{folder} holds movies and .h5 files: say which movies test networks (--test-movie) and at how many"
                " frames per second they were shown (--frame-rate)."
            )
        split = MovieSplit(test=tuple(test_movie), clip_frames=clip_frames)
        notes = register_h5_folder(name, folder, split, frame_rate=frame_rate, species=species)
    else:
        notes = register_folder(
            name, folder, species=species, behaviour=tuple(behaviour or ()), frame_rate=frame_rate
        )
    for note in notes:
        err.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    _say_dataset(name)


@app.command()
def simulation(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the generator.")] = 0,
    params: Annotated[
        str, typer.Option(help="Generator parameters as JSON, for example '{\"spread\": 1.0}'.")
    ] = "{}",
    video: Annotated[bool, typer.Option("--video", help="A video retina or cortex, not images.")] = False,
) -> None:
    """Register a simulated cortex with known functional types. Example: decortex register simulation s1 --seed 1."""
    from decortex.data.simulation import SimulationConfig, VideoSimulationConfig
    from decortex_schemas.tables import register_simulated_video, register_simulation

    try:
        values = json.loads(params)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"--params is not JSON ({error}): expected an object such as '{{\"spread\": 1.0}}'."
        ) from None
    if video:
        movies = VideoSimulationConfig.from_params(values)
        open_tables(role="author")
        register_simulated_video(name, movies, seed)
    else:
        config = SimulationConfig.from_params(values)
        open_tables(role="author")
        register_simulation(name, config, seed)
    _say_dataset(name)


def _say_dataset(name: str) -> None:
    from decortex_schemas.tables import Dataset

    row = (Dataset & {"dataset": name}).fetch1()
    sessions = len(Dataset.Session & {"dataset": name})
    out.print(
        f"dataset {name}: {row['n_neurons']} neurons, {sessions} sessions, content {row['content_sha256'][:12]}",
        highlight=False,
        markup=False,
    )

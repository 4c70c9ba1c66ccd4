"""How fluid the dashboard's map is in a browser: seconds to draw it, milliseconds a zoom. One JSON object.

Draws the figure of the dashboard's Map page over random points, in headless Chromium (Debian's, through playwright:
`pip install -e '.[dash,e2e]'`). Without a graphics card Chromium draws WebGL on the processor: a lower bound of what
a laptop does.

    python benchmarks/operations/browser_map.py [--neurons 54000] [--clusters 20] [--zooms 20]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from decortex_ops.dashboard.pages import map_view

CHROMIUM = "/usr/bin/chromium"
# A zoom is over when the frame after the redrawing has been shown.
ZOOM = """
async (n) => {
  const plot = document.querySelector('.js-plotly-plot'), taken = [];
  for (let i = 0; i < n; i++) {
    const half = 4 - 3 * (i + 1) / n, began = performance.now();
    await Plotly.relayout(plot, {'xaxis.range': [-half, half], 'yaxis.range': [-half, half]});
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    taken.push(performance.now() - began);
  }
  return taken;
}
"""


def page(n_neurons: int, n_clusters: int) -> str:
    """The map as a page that needs nothing else."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_clusters, n_neurons)
    scene = map_view.Scene(
        points=rng.normal(size=(n_neurons, 2)),
        labels=labels,
        scores=rng.random(n_neurons),
        neurons={},
        view={"view_spec_id": 1, "view_seed": 0, "model_seed": 0},
    )
    return map_view.map_figure(scene, "cluster").to_html(include_plotlyjs=True, full_html=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, zoom and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--neurons", type=int, default=54_000)
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--zooms", type=int, default=20)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "map.html"
        path.write_text(page(asked.neurons, asked.clusters), encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--enable-unsafe-swiftshader"]
        )
        window = browser.new_page(viewport={"width": 1400, "height": 900})
        window.goto(path.as_uri())
        window.wait_for_selector(".js-plotly-plot .gl-canvas", state="attached", timeout=120_000)
        drawn = window.evaluate("performance.now()")
        taken = window.evaluate(ZOOM, asked.zooms)
        renderer = window.evaluate(
            "(() => { const gl = document.createElement('canvas').getContext('webgl');"
            " const about = gl && gl.getExtension('WEBGL_debug_renderer_info');"
            " return about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : 'no WebGL'; })()"
        )
        browser.close()
        print(
            json.dumps(
                {
                    "neurons": asked.neurons,
                    "drawn_seconds": round(drawn / 1e3, 2),
                    "zoom_ms_median": round(float(np.median(taken)), 1),
                    "zoom_ms_max": round(float(np.max(taken)), 1),
                    "renderer": renderer,
                }
            )
        )


if __name__ == "__main__":
    main()

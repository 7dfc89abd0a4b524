"""Measure what a repaint costs: new points for a model until the whole window is painted.

python -m Testing.host.measure [--points 6000] [--rounds 60]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np


def repaint_times(points: int, rounds: int) -> list[float]:
    """Milliseconds from setting a model's points to a repainted window, of each round."""
    from Testing.host import start_application

    application = start_application(testing=True)
    slicer = application.slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    sphere = vtk.vtkSphereSource()
    side = round(points**0.5)
    sphere.SetThetaResolution(side)
    sphere.SetPhiResolution(points // side + 2)
    sphere.SetRadius(50)
    sphere.Update()
    model = slicer.modules.models.logic().AddModel(sphere.GetOutput())
    model.GetDisplayNode().SetVisibility2D(True)
    application.window.show()
    application.process_events()
    slicer.app.layoutManager().resetThreeDViews()
    application.process_events()
    coordinates = vtk_to_numpy(model.GetPolyData().GetPoints().GetData())
    rest = coordinates.copy()
    times = []
    for index in range(rounds):
        begin = time.perf_counter()
        coordinates[:] = rest * (1 + 0.2 * np.sin(0.3 * index))
        model.GetPolyData().GetPoints().Modified()
        model.GetPolyData().Modified()
        application.process_events()  # every view that the model is in renders
        application.window.repaint()
        times.append(1000 * (time.perf_counter() - begin))
    return times


def main() -> None:
    """Print median and 95th percentile as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=60)
    args = parser.parse_args()
    times = repaint_times(args.points, args.rounds)[5:]
    summary = {
        "points": args.points,
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(float(np.percentile(times, 95)), 1),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()

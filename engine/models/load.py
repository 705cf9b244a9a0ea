"""TEMPORARY adapter until the registry lands."""

import sys
from types import SimpleNamespace

from engine.models.base import Calibration


def choose(profile, folder):
    det = SimpleNamespace(name="det_500m", digest="d", licence="x")
    emb = SimpleNamespace(name="mobilefacenet_foamliu", digest="e", licence="x", space="mfn", calibration=Calibration(20.0, -7.0, "tmp"))
    return SimpleNamespace(profile="insightface", detector=det, embedder=emb, why="det_500m + mobilefacenet (temporary)", better="")


def load(choice, provider, threads):
    sys.path.insert(0, "/tmp/w/mine")
    from tmpadapt import Det, Emb

    return SimpleNamespace(detector=Det(), embedder=Emb(), calibration=choice.embedder.calibration, reports=[])

"""The Arrow tables that travel between stages, with their schemas.

Times are integer microseconds of the recording's own clock (0 = the start of the earliest stream). Boxes and landmarks are
normalised to the displayed frame (x by its width, y by its height), so they survive any decode scale and any re-run.
Row positions (`frame`, `det`, `chip`, `track`, `shot`) count from 0 within their table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SIGNATURE_BYTES = 192
"""A frame's signature: 8 rows x 8 columns x 3 (BGR), uint8; compared to find recurring camera set-ups."""

BODY_DIMS = 96
"""Length of the upper-body appearance descriptor (L2-normalised, all zero where no body is in the picture)."""

_BOX = [("x1", pa.float32()), ("y1", pa.float32()), ("x2", pa.float32()), ("y2", pa.float32())]

FRAMES = pa.schema(
    [
        ("frame", pa.int32()),
        ("t_us", pa.int64()),
        ("look", pa.int8()),  # 0: detector not run, 1: small look, 2: full look, 3: faces taken for unmoved, detector not run
        ("signature", pa.binary(SIGNATURE_BYTES)),
    ]
)

CUTS = pa.schema([("t_us", pa.int64())])
"""Hard cuts: `t_us` is the first frame of the new shot."""

DETECTIONS = pa.schema(
    [
        ("det", pa.int32()),
        ("frame", pa.int32()),
        ("t_us", pa.int64()),
        *_BOX,
        ("score", pa.float32()),  # detector score, 0..1
        # left eye, right eye, nose, left and right mouth corner as the viewer sees them; NaN if unknown
        ("landmarks", pa.list_(pa.float32(), 10)),
        ("height_px", pa.float32()),  # face height in pixels of the source frame
        ("sharpness", pa.float32()),  # 0..1
        ("frontal", pa.float32()),  # 0 (profile) .. 1 (facing the camera), from landmarks
        ("quality", pa.float32()),  # 0..1, see engine/vision/quality.py
        ("chip", pa.int32()),  # row in CHIPS, -1 when no crop was kept
    ]
)

CHIPS = pa.schema(
    [
        ("chip", pa.int32()),
        ("det", pa.int32()),
        ("jpeg", pa.binary()),  # square crop around the box with margin, at source resolution, at most 192 px
        ("landmarks", pa.list_(pa.float32(), 10)),  # pixels of the crop
        ("box", pa.list_(pa.float32(), 4)),  # x1 y1 x2 y2, pixels of the crop
        ("body", pa.list_(pa.float32(), BODY_DIMS)),
    ]
)

TRACKED = pa.schema([("track", pa.int32()), ("det", pa.int32())])
"""Which detection belongs to which track; one shot a track."""

PICKS = pa.schema([("track", pa.int32()), ("det", pa.int32()), ("quality", pa.float32())])
"""The faces of a track that were embedded, best first; row i belongs to row i of the vectors beside it."""

SHOT = pa.schema(
    [
        ("shot", pa.int32()),
        ("start_us", pa.int64()),
        ("end_us", pa.int64()),
        ("thread", pa.int32()),  # shots of one recurring camera set-up share a thread
    ]
)

TRACK = pa.schema(
    [
        ("track", pa.int32()),
        ("shot", pa.int32()),
        ("start_us", pa.int64()),  # half a sampling step before the first face, clipped to the shot
        ("end_us", pa.int64()),
        ("faces", pa.int32()),
        ("score", pa.float32()),  # median detector score
        ("height_px", pa.float32()),  # median
        ("quality", pa.float32()),  # of the pooled embedding, 0..1; 0 when nothing was embedded
        ("spread", pa.float32()),  # largest cosine distance of a good pick to the pooled embedding
        ("mixed", pa.bool_()),  # the picks do not look like one person
        ("best_det", pa.int32()),  # detection with the best picture
        ("body", pa.list_(pa.float32(), BODY_DIMS)),
    ]
)

CLUSTER = pa.schema([("cluster", pa.int32()), ("tracks", pa.int32()), ("seconds", pa.float64()), ("cohesion", pa.float32())])
MEMBERSHIP = pa.schema([("track", pa.int32()), ("cluster", pa.int32()), ("probability", pa.float32())])
POSTERIOR = pa.schema(
    [
        ("cluster", pa.int32()),
        ("candidate", pa.int32()),  # row in the gallery, -1 for "none of them"
        ("probability", pa.float32()),
        ("similarity", pa.float32()),
    ]
)


@dataclass(frozen=True)
class SegmentWindow:
    """The part of a recording one segment answers for.

    Frames with `start_us <= t < end_us` are its own; it also sees up to `seen_until_us`, so that cuts and tracks at the border are
    seen whole and can be stitched by the detections both sides share.
    """

    segment: int
    start_us: int
    end_us: int
    seen_until_us: int


@dataclass(frozen=True)
class Observed:
    """What `observe` saw in one segment. `step_us` is the sampling step, `frame_size` the displayed (width, height)."""

    window: SegmentWindow
    step_us: int
    frame_size: tuple[int, int]
    frames: pa.Table
    cuts: pa.Table
    detections: pa.Table
    chips: pa.Table


@dataclass(frozen=True)
class Tracked:
    """Tracks of one segment: which detection is in which track, and the embeddings of the chosen faces (row per pick, L2-normalised)."""

    window: SegmentWindow
    tracked: pa.Table
    picks: pa.Table
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Episode:
    """One episode after stitching, ready for the identity stages.

    `detections` are those of all segments (DETECTIONS with `det` renumbered, plus `track`, -1 when untracked); `pooled` has one
    L2-normalised row a track (zeros when nothing could be embedded); `vectors` one row a pick.
    """

    step_us: int
    duration_us: int
    frame_size: tuple[int, int]
    shots: pa.Table
    tracks: pa.Table
    detections: pa.Table
    picks: pa.Table
    vectors: NDArray[np.float32]
    pooled: NDArray[np.float32]


def matrix_of(column: pa.ChunkedArray, width: int) -> NDArray[np.float32]:
    """A fixed-size list column as (n, width) float32."""
    flat = column.combine_chunks().flatten() if column.num_chunks else []
    result: NDArray[np.float32] = np.asarray(flat, np.float32).reshape(-1, width)
    return result

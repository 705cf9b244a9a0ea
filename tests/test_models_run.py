"""The models themselves on real pictures: detectors, embedders, alignment against insightface and OpenCV, and where they run."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import BadInput, ModelInvalid, ProviderMismatch
from engine.models import arcface, runtime
from engine.models.arcface import ArcFace, align
from engine.models.base import Chip, FaceDetector, Faces, Image
from engine.models.load import Loaded, choose, load, open_detector, open_embedder
from engine.models.runtime import audit, available_providers, cpu_only, judge, open_session, two_runtimes
from engine.models.sface import SFace
from engine.models.store import Models


def read(path: Path) -> Image:
    picture = cv2.imread(str(path))
    assert picture is not None
    image: Image = picture
    return image


@pytest.fixture(scope="module")
def group() -> Image:
    """Six faces, 1280 x 886 pixels."""
    spec = importlib.util.find_spec("insightface")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return read(Path(spec.submodule_search_locations[0]) / "data" / "images" / "t1.jpg")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load(choose("embedded", tmp_path_factory.mktemp("models")), "cpu", 2)


def scaled(picture: Image, long_side: int) -> Image:
    share = long_side / max(picture.shape[:2])
    small: Image = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return small


def chips(picture: Image, faces: Faces) -> list[Chip]:
    """Crops with a margin, as the pipeline makes them."""
    made = []
    for box, points in zip(faces.boxes, faces.landmarks, strict=True):
        half = 0.9 * float((box[2:] - box[:2]).max())
        corner = (box[:2] + box[2:]) / 2 - half
        side = round(2 * half)
        shift = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], np.float32)
        crop = cv2.warpAffine(picture, shift, (side, side), borderMode=cv2.BORDER_REPLICATE)
        made.append(Chip(crop, points - corner, (box.reshape(2, 2) - corner).reshape(4)))
    return made


def check_faces(faces: Faces, count: int) -> None:
    assert faces.boxes.shape == (count, 4)
    assert faces.scores.shape == (count,)
    assert faces.landmarks.shape == (count, 5, 2)
    assert faces.boxes.dtype == faces.scores.dtype == faces.landmarks.dtype == np.float32
    assert (np.diff(faces.scores) <= 0).all()
    assert ((faces.scores > 0) & (faces.scores <= 1)).all()
    if count:
        left, right, nose = faces.landmarks[:, 0], faces.landmarks[:, 1], faces.landmarks[:, 2]
        assert (left[:, 0] < right[:, 0]).all()  # as the viewer sees them
        assert (nose[:, 1] > (left[:, 1] + right[:, 1]) / 2).all()
        low, high = faces.boxes[:, None, :2], faces.boxes[:, None, 2:]
        seen = faces.landmarks[:, :3]
        assert ((seen > low) & (seen < high)).all()


def similarities(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    upper: NDArray[np.float32] = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return upper


def test_embedded_models_find_and_tell_apart_six_people(embedded: Loaded, group: Image) -> None:
    faces = embedded.detector.detect(group, min_score=0.5, nms_iou=0.4)
    check_faces(faces, 6)
    assert np.isnan(faces.landmarks[:, 3:]).all()
    vectors = embedded.embedder.embed(chips(group, faces))
    assert vectors.shape == (6, embedded.embedder.dims)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (embedded.calibration.slope * similarities(vectors) + embedded.calibration.intercept < 0).all()
    mirrored = embedded.embedder.embed([Chip(c.image[:, ::-1].copy(), c.landmarks, mirror(c)) for c in chips(group, faces)])
    assert (embedded.calibration.slope * (vectors * mirrored).sum(axis=1) + embedded.calibration.intercept > 0).all()


def mirror(chip: Chip) -> NDArray[np.float32]:
    width = chip.image.shape[1]
    return np.array([width - chip.box[2], chip.box[1], width - chip.box[0], chip.box[3]], np.float32)


def test_embedded_models_on_little_and_nothing(embedded: Loaded, group: Image) -> None:
    assert len(embedded.detector.detect(scaled(group, 480), min_score=0.5, nms_iou=0.4).scores) >= 4  # enlarged inside
    check_faces(embedded.detector.detect(np.zeros((90, 160, 3), np.uint8), min_score=0.3, nms_iou=0.4), 0)
    assert embedded.embedder.embed([]).shape == (0, 128)


@pytest.mark.parametrize("name", ["det_500m", "det_2.5g", "yunet_n_640", "yunet_n_320"])
def test_detectors_find_six_faces_at_any_size(weights: Path, tmp_path: Path, group: Image, name: str) -> None:
    detector, _ = open_detector(Models(tmp_path).find(name), "cpu", 2)
    for size in (1280, 640, 333):
        picture = scaled(group, size)
        faces = detector.detect(picture, min_score=0.5, nms_iou=0.4)
        check_faces(faces, 6)
        assert not np.isnan(faces.landmarks).any()
        assert (faces.boxes[:, 2:] <= np.array([picture.shape[1], picture.shape[0]]) + 2).all()
        check_faces(detector.detect(np.zeros_like(picture), min_score=0.3, nms_iou=0.4), 0)


@pytest.mark.parametrize("name", ["det_500m", "det_2.5g"])
def test_scrfd_equals_insightface(weights: Path, tmp_path: Path, group: Image, name: str) -> None:
    from insightface.model_zoo.scrfd import SCRFD

    installed = Models(tmp_path).find(name)
    detector, _ = open_detector(installed, "cpu", 2)
    picture = np.zeros((448, 640, 3), np.uint8)
    picture[:443] = scaled(group, 640)
    session, _ = open_session(installed.paths[0], "cpu", 2, (1, 3, 320, 320))
    theirs = SCRFD(model_file=str(installed.paths[0]), session=session)
    theirs.prepare(-1, nms_thresh=0.4, det_thresh=0.3)
    boxes, points = theirs.detect(picture, input_size=(640, 448))
    ours = detector.detect(picture, min_score=0.3, nms_iou=0.4)
    assert np.allclose(boxes[:, :4], ours.boxes, atol=1e-2)
    assert np.allclose(boxes[:, 4], ours.scores, atol=1e-4)
    assert np.allclose(points, ours.landmarks, atol=1e-2)


def test_faces_filling_the_picture_are_found_when_it_is_shrunk(weights: Path, tmp_path: Path, group: Image) -> None:
    """The reason for several looks: SCRFD loses a face of 500 pixels and finds the same face at 160."""
    detector, _ = open_detector(Models(tmp_path).find("det_500m"), "cpu", 2)
    x1, y1, x2, y2 = detector.detect(group, min_score=0.5, nms_iou=0.4).boxes[0].astype(int)
    close_up = cv2.resize(group[y1 - 10 : y2 + 10, x1 - 10 : x2 + 10], (640, 640))
    large = detector.detect(close_up, min_score=0.3, nms_iou=0.4).scores.max(initial=0)
    small = detector.detect(scaled(close_up, 160), min_score=0.3, nms_iou=0.4).scores.max(initial=0)
    assert small > 0.5
    assert small > large


@pytest.fixture
def mobile(weights: Path, tmp_path: Path) -> tuple[ArcFace, FaceDetector]:
    models = Models(tmp_path)
    embedder, _ = open_embedder(models.find("mobilefacenet_foamliu"), "cpu", 2)
    detector, _ = open_detector(models.find("det_500m"), "cpu", 2)
    assert isinstance(embedder, ArcFace)
    return embedder, detector


@pytest.mark.filterwarnings("ignore:.estimate. is deprecated:FutureWarning")
def test_alignment_and_vectors_equal_insightface(mobile: tuple[ArcFace, FaceDetector], weights: Path, group: Image) -> None:
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX
    from insightface.utils.face_align import norm_crop

    embedder, detector = mobile
    theirs = ArcFaceONNX(model_file=str(weights / "mobilefacenet_foamliu.onnx"), session=embedder._session)
    cut = chips(group, detector.detect(group, min_score=0.5, nms_iou=0.4))
    vectors = embedder.embed(cut)
    assert vectors.shape == (6, 128)
    assert vectors.dtype == np.float32
    for chip, vector in zip(cut, vectors, strict=True):
        aligned = norm_crop(chip.image, chip.landmarks)
        assert np.abs(aligned.astype(int) - align(chip)).max() <= 1
        feature = theirs.get_feat(aligned).ravel()
        assert float(feature @ vector) / np.linalg.norm(feature) > 0.9999
    assert (16 * similarities(vectors) < 0.39 * 16).all()
    assert embedder.embed([]).shape == (0, 128)


def test_sface_feeds_the_network_as_opencv_does(mobile: tuple[ArcFace, FaceDetector], weights: Path, group: Image) -> None:
    """SFace's own weights are not needed for that: OpenCV runs any network of this shape."""
    embedder, detector = mobile
    ours = SFace("stand-in", "", "", embedder._session)
    theirs = cv2.FaceRecognizerSF.create(str(weights / "mobilefacenet_foamliu.onnx"), "")
    faces = detector.detect(group, min_score=0.5, nms_iou=0.4)
    for chip in chips(group, faces):
        row = np.concatenate([chip.box, chip.landmarks.ravel(), [1]]).astype(np.float32)[None]
        feature = theirs.feature(theirs.alignCrop(chip.image, row)).ravel()
        assert float(feature @ ours.embed([chip])[0]) / np.linalg.norm(feature) > 0.999


def darkened(picture: Image, gain: float, grain: float) -> Image:
    """With a share of its light, and grain on it."""
    noise = np.random.default_rng(5).normal(0, grain, picture.shape)
    return np.clip(np.round(np.round(picture * gain) + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("gain", "grain"), [(0.3, 6.0), (0.2, 4.0), (0.12, 1.5)])
def test_a_face_in_the_dark_is_like_itself_by_day_and_like_nobody_else(
    mobile: tuple[ArcFace, FaceDetector], embedded: Loaded, group: Image, gain: float, grain: float
) -> None:
    cut = chips(group, mobile[1].detect(group, min_score=0.5, nms_iou=0.4))
    dark = [Chip(darkened(chip.image, gain, grain), chip.landmarks, chip.box) for chip in cut]
    for embedder in (mobile[0], embedded.embedder):
        by_day, at_night = embedder.embed(cut), embedder.embed(dark)
        crossed, among = by_day @ at_night.T, at_night @ at_night.T
        strangers = ~np.eye(len(cut), dtype=bool)
        assert np.diag(crossed).min() > 0.5
        assert max(crossed[strangers].max(), among[strangers].max()) < 0.5, "darkness itself is nobody's face"


def test_missing_landmarks_fall_back_to_the_box(mobile: tuple[ArcFace, FaceDetector], group: Image) -> None:
    embedder, detector = mobile
    cut = chips(group, detector.detect(group, min_score=0.5, nms_iou=0.4))
    nothing = np.full((5, 2), np.nan, np.float32)
    eyes_and_nose = [Chip(c.image, np.concatenate([c.landmarks[:3], nothing[3:]]), c.box) for c in cut]
    assert np.median((embedder.embed(cut) * embedder.embed(eyes_and_nose)).sum(axis=1)) > 0.75
    alike = []
    for chip in cut:  # the box knows nothing of a tilted head, so the faces are set upright first
        upright = cv2.warpAffine(chip.image, 2 * arcface.similarity(chip) + [[0, 0, 50], [0, 0, 50]], (324, 324), borderMode=cv2.BORDER_REPLICATE)
        found = chips(upright, detector.detect(upright, min_score=0.3, nms_iou=0.4))[0]
        pointed, boxed = embedder.embed([found, Chip(found.image, nothing, found.box)])
        alike.append(float(pointed @ boxed))
    assert np.median(alike) > 0.6  # strangers stay under 0.4; one of the six looks aside


def test_people_of_photo_pairs_are_told_apart(mobile: tuple[ArcFace, FaceDetector], media: Path, embedded: Loaded) -> None:
    """Photos of the deepface project with labelled pairs: every pair falls on its side of even odds, for both families of models."""
    folder = media / "faces" / "deepface"
    lines = (folder / "pairs.csv").read_text().splitlines()[1:]
    pairs = [line.strip().split(",") for line in lines if line]
    embedder, detector = mobile
    for found, compared, even, size in ((detector, embedder, 0.39, 320), (embedded.detector, embedded.embedder, 0.43, 960)):
        vectors = {}
        for path in sorted(folder.glob("*.jpg")):
            picture = read(path)
            picture = scaled(picture, min(size, max(picture.shape[:2])))
            faces = found.detect(picture, min_score=0.4, nms_iou=0.4)
            largest = int(np.argmax(np.prod(faces.boxes[:, 2:] - faces.boxes[:, :2], axis=1)))
            vectors[path.name] = compared.embed([chips(picture, faces)[largest]])[0]
        right = [(float(vectors[a] @ vectors[b]) > even) == (answer == "Yes") for a, b, answer in pairs if a in vectors and b in vectors]
        assert len(right) > 90
        assert np.mean(right) > 0.98


def test_cuda_that_is_not_there_is_a_clear_error_and_auto_says_so(weights: Path) -> None:
    if not runtime.obstacle("cuda"):
        pytest.skip("CUDA works here")
    model = weights / "det_500m.onnx"
    with pytest.raises(ProviderMismatch, match="cuda was asked for but cannot be used") as caught:
        open_session(model, "cuda", 1, (1, 3, 64, 64))
    assert caught.value.data["reason"]
    assert "models.provider=cpu" in caught.value.hint
    _, report = open_session(model, "auto", 1, (1, 3, 64, 64))
    assert (report.requested, report.used) == ("auto", "cpu")
    assert report.nodes["CPUExecutionProvider"] > 50
    if "cuda" in available_providers():
        assert "cuda cannot be used" in report.reason


def test_real_profile_of_a_fallback_is_refused(weights: Path) -> None:
    """What the audit reads from a run on the CPU must not pass as a run on CUDA."""
    _, report = open_session(weights / "det_500m.onnx", "cpu", 1, (1, 3, 64, 64))
    with pytest.raises(ProviderMismatch, match="no node of det_500m"):
        judge("cuda", report.nodes, [], "det_500m")


def test_audit_wants_every_heavy_node_on_the_accelerator() -> None:
    def node(operator: str, provider: str) -> dict[str, Any]:
        return {"cat": "Node", "args": {"op_name": operator, "provider": provider}}

    shapes: list[dict[str, Any]] = [node("Conv", "CUDAExecutionProvider"), node("Shape", "CPUExecutionProvider"), {"cat": "Session", "args": {}}]
    nodes, astray = audit(shapes, "CUDAExecutionProvider")
    assert (nodes, astray) == ({"CUDAExecutionProvider": 1, "CPUExecutionProvider": 1}, [])
    judge("cuda", nodes, astray, "a model")
    nodes, astray = audit([*shapes, node("FusedConv", "CPUExecutionProvider")], "CUDAExecutionProvider")
    with pytest.raises(ProviderMismatch, match="1 heavy nodes of a model ran elsewhere"):
        judge("cuda", nodes, astray, "a model")


def test_models_that_know_only_the_cpu_refuse_an_accelerator(tmp_path: Path) -> None:
    with pytest.raises(ProviderMismatch, match="dlib_hog runs on the CPU only"):
        load(choose("embedded", tmp_path), "cuda", 1)
    assert cpu_only("yunet", "auto").used == "cpu"


def test_provider_and_file_must_make_sense(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no provider"):
        open_session(tmp_path / "x.onnx", "tpu", 1, (1, 3, 64, 64))
    (tmp_path / "x.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelInvalid, match=r"x\.onnx"):
        open_session(tmp_path / "x.onnx", "cpu", 1, (1, 3, 64, 64))


def test_provider_missing_from_the_build_names_two_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert two_runtimes() == ()
    versions = {"onnxruntime": "1", "onnxruntime-gpu": "1"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    assert two_runtimes() == ("onnxruntime", "onnxruntime-gpu")
    missing = next(name for name in runtime.PROVIDERS if name not in available_providers())
    assert "onnxruntime and onnxruntime-gpu are both installed" in runtime.obstacle(missing)


def test_mxnet_graphs_scale_inside(tmp_path: Path, weights: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    inside = [helper.make_node("Sub", ["x", "m"], ["y"], name="_minusscalar0"), helper.make_node("Mul", ["y", "m"], ["z"], name="_mulscalar0")]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "m", "z")]
    onnx.save(helper.make_model(helper.make_graph(inside, "g", value[:2], value[2:])), tmp_path / "g.onnx")
    assert arcface.scaling_of(tmp_path / "g.onnx") == (0.0, 1.0)
    assert arcface.scaling_of(weights / "mobilefacenet_foamliu.onnx") == (127.5, 127.5)

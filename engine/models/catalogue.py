"""The detectors and embedders rollcall knows, as data.

A file is recognised by its size and SHA-256, never by its name. Sizes and digests were confirmed against Git LFS pointers of the source
repositories, against files at hand, or against several independent projects that pin them.
"""

from __future__ import annotations

from engine.models.base import Calibration
from engine.models.entry import ModelEntry, ModelFile

RESEARCH = "InsightFace: non-commercial research only"

_FACE = "https://github.com/deepinsight/insightface/tree/master/model_zoo"
_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
_IMMICH_M = "https://huggingface.co/immich-app/buffalo_m/resolve/main/detection/model.onnx"
_ZOO = "https://github.com/opencv/opencv_zoo"
_ZOO_RAW = f"{_ZOO}/raw/47534e27c9851bb1128ccc0102f1145e27f23f98/models"
_TRAIN = "https://github.com/ShiqiYu/libfacedetection.train"
_TRAIN_RAW = f"{_TRAIN}/raw/0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx"
_FOAMLIU = "https://github.com/foamliu/MobileFaceNet"
_FOAMLIU_RAW = f"{_FOAMLIU}/raw/a6cc9032a659b615f477833e1a70b5e7931bcccc/weights/MobileFaceNet.onnx"
_AURA = "https://huggingface.co/fal/AuraFace-v1"
_AURA_RAW = f"{_AURA}/resolve/af6d057c9b0ec4071d4c49c80e3539258798b609/glintr100.onnx"
_DLIB = "https://github.com/davisking/dlib-models"
_DLIB_FILES = "face_recognition_models"


def _one(filename: str, size: int, sha256: str, url: str, member: str = "") -> tuple[ModelFile, ...]:
    return (ModelFile(filename, size, sha256, url, member),)


def _curve(slope: float, even_at: float, source: str) -> Calibration:
    """The curve that is even (log odds 0) at a cosine of `even_at`."""
    return Calibration(slope, round(-slope * even_at, 3), source)


_BUFFALO = "not measured here: a guess, even at cosine 0.30 and flat enough to be overruled by the episode's own negatives"

_DATA = "27 people in photos, GRID and talking-head clips (pairs never of one clip) and a stage recording against photos, logistic fit then tempered"
_MEASURED_SMALL = (
    f"{_DATA}: photos of one person from 0.69 up, recording against photo 0.33..0.66; strangers 0.03 on average, 1 % over 0.26, at most 0.37"
)
_MEASURED_DLIB = (
    f"{_DATA}: photos of one person from 0.68 up, recording against photo 0.44..0.74; strangers -0.05 on average, 1 % over 0.32, at most 0.54"
)

_DLIB_5_POINTS = ModelFile(
    "shape_predictor_5_face_landmarks.dat", 9_150_489, "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888", package=_DLIB_FILES
)
_DLIB_RESNET = ModelFile(
    "dlib_face_recognition_resnet_model_v1.dat", 22_466_066, "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30", package=_DLIB_FILES
)
_SHA = {
    "det_10g": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
    "det_2.5g": "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9",
    "det_500m": "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
    "yunet_2023mar": "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    "yunet_n_640": "25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31",
    "yunet_n_320": "81dbde155e982455488235acb8ec2dec5d647edf7cf7080d33e4abb69b93a0d2",
    "w600k_r50": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    "w600k_mbf": "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
    "auraface_v1": "a7933ea5330113b01c9b60351d8f4c33003f145d8470ac5f0e52ee2effe25c60",
    "sface_2021dec": "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
    "mobilefacenet_foamliu": "b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507",
}

DETECTORS = (
    ModelEntry(
        "det_10g",
        "detect",
        "scrfd",
        _one("det_10g.onnx", 16_923_827, _SHA["det_10g"], f"{_RELEASE}/buffalo_l.zip", "det_10g.onnx"),
        RESEARCH,
        False,
        _FACE,
        "SCRFD-10GF of buffalo_l: the best detector here.",
    ),
    ModelEntry(
        "det_2.5g",
        "detect",
        "scrfd",
        _one("det_2.5g.onnx", 3_292_009, _SHA["det_2.5g"], _IMMICH_M),
        RESEARCH,
        False,
        _FACE,
        "SCRFD-2.5GF of buffalo_m, pulled alone from Immich's copy: the pack is 276 MB.",
    ),
    ModelEntry(
        "det_500m",
        "detect",
        "scrfd",
        _one("det_500m.onnx", 2_524_817, _SHA["det_500m"], f"{_RELEASE}/buffalo_sc.zip", "det_500m.onnx"),
        RESEARCH,
        False,
        _FACE,
        "SCRFD-500MF of buffalo_s: three times as fast as det_2.5g, weaker on small faces.",
    ),
    ModelEntry(
        "yunet_2023mar",
        "detect",
        "yunet",
        _one(
            "face_detection_yunet_2023mar.onnx",
            232_589,
            _SHA["yunet_2023mar"],
            f"{_ZOO_RAW}/face_detection_yunet/face_detection_yunet_2023mar.onnx",
        ),
        "MIT",
        True,
        f"{_ZOO}/tree/main/models/face_detection_yunet",
    ),
    ModelEntry(
        "yunet_n_640",
        "detect",
        "yunet",
        _one("yunet_n_640_640.onnx", 317_466, _SHA["yunet_n_640"], f"{_TRAIN_RAW}/yunet_n_640_640.onnx"),
        "Apache-2.0",
        True,
        _TRAIN,
        "Its training repository's export of YuNet; takes any size.",
    ),
    ModelEntry(
        "yunet_n_320",
        "detect",
        "yunet",
        _one("yunet_n_320_320.onnx", 317_434, _SHA["yunet_n_320"], f"{_TRAIN_RAW}/yunet_n_320_320.onnx"),
        "Apache-2.0",
        True,
        _TRAIN,
        "The same network as yunet_n_640.",
    ),
    ModelEntry(
        "dlib_hog",
        "detect",
        "dlib_hog",
        (_DLIB_5_POINTS,),
        "BSL-1.0 (detector), CC0-1.0 (landmarks)",
        True,
        _DLIB,
        "dlib's frontal HOG detector: upright faces from about 75 pixels; profiles are mostly missed.",
    ),
)

EMBEDDERS = (
    ModelEntry(
        "w600k_r50",
        "embed",
        "arcface",
        _one("w600k_r50.onnx", 174_383_860, _SHA["w600k_r50"], f"{_RELEASE}/buffalo_l.zip", "w600k_r50.onnx"),
        RESEARCH,
        False,
        _FACE,
        "ArcFace ResNet-50 on WebFace600K, of buffalo_l: the best embedder here.",
        512,
        _curve(18.0, 0.30, _BUFFALO),
    ),
    ModelEntry(
        "w600k_mbf",
        "embed",
        "arcface",
        _one("w600k_mbf.onnx", 13_616_099, _SHA["w600k_mbf"], f"{_RELEASE}/buffalo_sc.zip", "w600k_mbf.onnx"),
        RESEARCH,
        False,
        _FACE,
        "ArcFace MobileFaceNet on WebFace600K, of buffalo_s.",
        512,
        _curve(16.0, 0.30, _BUFFALO),
    ),
    ModelEntry(
        "auraface_v1",
        "embed",
        "arcface",
        _one("auraface_glintr100.onnx", 260_694_151, _SHA["auraface_v1"], _AURA_RAW),
        "Apache-2.0",
        True,
        _AURA,
        "ArcFace ResNet-100 trained for free use; its authors call it weaker than the research models.",
        512,
        _curve(14.0, 0.30, "not measured here; flatter than the research models' curve, as its authors call it weaker"),
    ),
    ModelEntry(
        "sface_2021dec",
        "embed",
        "sface",
        _one(
            "face_recognition_sface_2021dec.onnx",
            38_696_353,
            _SHA["sface_2021dec"],
            f"{_ZOO_RAW}/face_recognition_sface/face_recognition_sface_2021dec.onnx",
        ),
        "Apache-2.0",
        True,
        f"{_ZOO}/tree/main/models/face_recognition_sface",
        "",
        128,
        _curve(14.0, 0.363, "not measured here; even at 0.363, the threshold OpenCV publishes for it"),
    ),
    ModelEntry(
        "mobilefacenet_foamliu",
        "embed",
        "arcface",
        _one("mobilefacenet_foamliu.onnx", 3_998_070, _SHA["mobilefacenet_foamliu"], _FOAMLIU_RAW),
        "Apache-2.0",
        True,
        _FOAMLIU,
        "Small; trained on MS-Celeb-1M, a data set its makers have withdrawn.",
        128,
        _curve(16.0, 0.39, _MEASURED_SMALL),
    ),
    ModelEntry(
        "dlib_resnet",
        "embed",
        "dlib_resnet",
        (_DLIB_5_POINTS, _DLIB_RESNET),
        "CC0-1.0",
        True,
        _DLIB,
        "Comes with rollcall: the models of a first run without a download.",
        128,
        _curve(14.0, 0.43, _MEASURED_DLIB),
    ),
)

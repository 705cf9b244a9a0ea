"""What is installed: recognition by digest, the cache, imports, verification, the registry's own consistency, the choice of a profile."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from engine.errors import BadInput, ModelInvalid, ModelMissing, NotFound
from engine.fingerprint import file_digest
from engine.models import store
from engine.models.entry import ModelEntry, ModelFile
from engine.models.importing import import_path
from engine.models.listing import demand_valid, rows, verify
from engine.models.load import choose
from engine.models.registry import ENTRIES, PACKS, PROFILE_NAMES, PROFILES, entry, named
from engine.models.store import Models

CONTENT = b"weights" * 1000


@pytest.fixture(autouse=True)
def no_other_models(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "weights" not in request.fixturenames:
        monkeypatch.delenv("ROLLCALL_MODELS", raising=False)


def tiny(name: str = "tiny", content: bytes = CONTENT) -> ModelEntry:
    file = ModelFile(f"{name}.onnx", len(content), hashlib.sha256(content).hexdigest())
    return ModelEntry(name, "detect", "scrfd", (file,), "MIT", True, "a test")


def test_registry_is_consistent() -> None:
    names = [model.name for model in ENTRIES]
    assert len(names) == len(set(names))
    for model in ENTRIES:
        assert all(len(file.sha256) == 64 and int(file.sha256, 16) and file.size > 0 for file in model.files)
        assert (model.task == "embed") == (model.dims is not None) == (model.calibration is not None) == bool(model.space)
        assert model.pullable != model.packaged
        assert model.licence
    assert set(PROFILES) == set(PROFILE_NAMES)
    for detector, embedder in (pair for pairs in PROFILES.values() for pair in pairs):
        assert (entry(detector).task, entry(embedder).task) == ("detect", "embed")
    assert all(named(pack) for pack in PACKS)
    assert all(entry(name).commercial for pair in PROFILES["open"] for name in pair)
    with pytest.raises(NotFound, match="no model named"):
        entry("nothing")


def test_calibrations_call_strangers_strangers() -> None:
    for model in ENTRIES:
        if model.calibration:
            assert model.calibration.intercept < -3
            assert model.calibration.slope * 0.7 + model.calibration.intercept > 3
            assert model.calibration.source


def test_file_is_found_by_digest_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "elsewhere" / "deep"
    other.mkdir(parents=True)
    (other / "renamed.bin").write_bytes(CONTENT)
    (other / "tiny.onnx").write_bytes(CONTENT[::-1])
    models = Models(tmp_path / "models", [tiny()])
    assert models.installed() == {}
    with pytest.raises(ModelMissing, match="tiny"):
        models.find("tiny")
    monkeypatch.setenv("ROLLCALL_MODELS", f"{tmp_path / 'nowhere'}:{tmp_path / 'elsewhere'}")
    assert models.find("tiny").paths == (other / "renamed.bin",)


def test_second_process_does_not_hash_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.onnx").write_bytes(CONTENT)
    hashed: list[Path] = []

    def counted(path: Path) -> str:
        hashed.append(path)
        return file_digest(path)

    monkeypatch.setattr(store, "file_digest", counted)
    for fresh in (True, False):
        monkeypatch.setattr(store, "_digests", {})
        assert "tiny" in Models(tmp_path, [tiny()]).installed()
        assert len(hashed) == 1, fresh
    (tmp_path / "a.onnx").write_bytes(CONTENT[::-1])
    assert Models(tmp_path, [tiny()]).installed() == {}
    (tmp_path / store.CACHE).write_text("not json")
    monkeypatch.setattr(store, "_digests", {})
    assert Models(tmp_path, [tiny()]).installed() == {}


def test_verify_trusts_no_cache_and_names_the_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "any.onnx", tmp_path / "tiny.onnx"
    good.write_bytes(CONTENT)
    bad.write_bytes(CONTENT[:-1])
    models = Models(tmp_path, [tiny()])
    checked = verify(models)
    assert [(Path(one.path).name, bool(one.problem)) for one in checked] == [("any.onnx", False), ("tiny.onnx", True)]
    with pytest.raises(ModelInvalid, match=r"tiny\.onnx"):
        demand_valid(checked)
    stat = good.stat()
    good.write_bytes(CONTENT[::-1])
    os.utime(good, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # changed behind the cache's back
    assert "tiny" in models.installed()
    assert not [one for one in verify(models) if not one.problem]
    assert models.installed() == {}


def archive_of(kind: str, folder: Path) -> Path:
    path = folder / f"pack.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("pack/../../x.onnx", CONTENT)
            packed.writestr("readme", b"nothing")
    else:
        with tarfile.open(path, "w:gz") as tar:
            info = tarfile.TarInfo("../../x.onnx")
            info.size = len(CONTENT)
            tar.addfile(info, io.BytesIO(CONTENT))
    return path


@pytest.mark.parametrize("kind", ["file", "folder", "zip", "tar"])
def test_import_takes_known_files_only(tmp_path: Path, kind: str) -> None:
    brought = tmp_path / "brought"
    brought.mkdir()
    if kind in ("zip", "tar"):
        source = archive_of(kind, brought)
    else:
        (brought / "x.onnx").write_bytes(CONTENT)
        (brought / "unknown.onnx").write_bytes(b"unknown")
        source = brought / "x.onnx" if kind == "file" else brought
    models = Models(tmp_path / "models", [tiny()])
    assert import_path(source, models) == ["tiny"]
    assert sorted(path.name for path in models.folder.iterdir()) == [store.CACHE, "tiny.onnx"]
    assert models.find("tiny").paths == (models.folder / "tiny.onnx",)


def test_import_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    models = Models(tmp_path / "models", [tiny()])
    (tmp_path / "x.onnx").write_bytes(CONTENT[::-1])  # the right size, another content
    with pytest.raises(BadInput, match="recognised by digest") as caught:
        import_path(tmp_path / "x.onnx", models)
    assert "tiny.onnx" in caught.value.hint
    with pytest.raises(NotFound):
        import_path(tmp_path / "missing", models)
    whole = archive_of("zip", tmp_path).read_bytes()
    (tmp_path / "bad.zip").write_bytes(whole[:30] + b"\0\0\0\0" + whole[34:])
    with pytest.raises(BadInput):
        import_path(tmp_path / "bad.zip", models)
    assert models.installed() == {}


def test_first_run_uses_the_embedded_profile(tmp_path: Path) -> None:
    choice = choose("auto", tmp_path)
    assert (choice.profile, choice.detector.name, choice.embedder.name) == ("embedded", "dlib_hog", "dlib_resnet")
    assert "rollcall model pull buffalo_l" in choice.better
    assert "non-commercial" in choice.better
    assert "Apache-2.0" in choice.better


@pytest.mark.parametrize("profile", ["insightface", "open"])
def test_profile_asked_for_by_name_must_be_complete(tmp_path: Path, profile: str) -> None:
    with pytest.raises(ModelMissing, match=profile) as caught:
        choose(profile, tmp_path)
    assert "rollcall model pull" in caught.value.hint
    with pytest.raises(BadInput, match="no profile"):
        choose("best", tmp_path)


def test_auto_takes_the_best_complete_pair(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLCALL_MODELS")
    folder = tmp_path / "models"
    folder.mkdir()
    for name, expected in (
        ("mobilefacenet_foamliu.onnx", "embedded"),
        ("yunet_n_640_640.onnx", "open"),
        ("det_500m.onnx", "insightface"),
        ("det_2.5g.onnx", "insightface"),
    ):
        shutil.copy(weights / name, folder / name)
        choice = choose("auto", folder)
        assert choice.profile == expected
    assert choice.detector.name == "det_2.5g"
    assert choose("open", folder).detector.name == "yunet_n_640"


def test_rows_show_licence_and_the_way_to_get_it(tmp_path: Path) -> None:
    listed = {row.name: row for row in rows(Models(tmp_path))}
    assert len(listed) == len(ENTRIES)
    assert not listed["det_10g"].commercial
    assert listed["det_10g"].how == "`rollcall model pull buffalo_l`"
    assert listed["det_10g"].path is None
    assert listed["dlib_resnet"].path
    assert listed["auraface_v1"].profiles == ("open",)


def test_asking_what_is_installed_imports_no_runtime() -> None:
    code = (
        "import sys; from pathlib import Path; from engine.models.load import choose; choose('embedded', Path(sys.argv[1])); "
        "print([name for name in ('onnxruntime', 'cv2', 'dlib', 'insightface', 'face_recognition_models', 'httpx2') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code, "/nonexistent"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"

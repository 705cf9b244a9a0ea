"""Downloading models: only when asked, resumed after a break, checked by digest, whole or not at all.

What has arrived waits in `.download` inside the folder of models, beside the server's validator (ETag or Last-Modified), so that a second try goes on
where the first one ended and never joins two versions of a file (RFC 9110, sections 13.1.5 and 14.2).
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx2

from engine.errors import ModelInvalid, RollcallError
from engine.models.entry import ModelEntry, ModelFile
from engine.models.importing import install
from engine.models.store import Models

Progress = Callable[[int, int], None]
"""Bytes done and bytes in total (0 while unknown) of the address being downloaded."""

ATTEMPTS = 3
"""Tries in a row that bring nothing new before a download is given up."""

FOLDER = ".download"
_TIMEOUT = httpx2.Timeout(30.0, read=60.0)


@dataclass(frozen=True)
class _Part:
    """An unfinished download on disk."""

    data: Path
    validator: Path

    @property
    def size(self) -> int:
        return self.data.stat().st_size if self.data.exists() else 0

    def drop(self) -> None:
        self.data.unlink(missing_ok=True)
        self.validator.unlink(missing_ok=True)


def pull(entries: Sequence[ModelEntry], models: Models, progress: Progress = lambda done, total: None) -> list[str]:
    """Download what is missing of some models into the workspace. An archive several files come from is downloaded once.

    A proxy named by the environment is used. An exception raised by `progress` ends the download; what has arrived is kept for the next try.

    Returns:
        Names of the models that were not installed before.

    Raises:
        ModelInvalid: what arrived is not what the registry says; nothing is installed.
        RollcallError: the server cannot be reached or refuses, or a model has no known address.
    """
    installed = models.installed()
    missing = [entry for entry in entries if entry.name not in installed]
    here = models.here()
    files = {file.sha256: file for entry in missing for file in entry.files if file.sha256 not in here}
    for entry in missing:
        if not entry.pullable:
            raise RollcallError(f"{entry.name} has no confirmed address to download it from.", by_hand(entry.files[0]))
    urls = dict.fromkeys(file.url for file in files.values())
    with httpx2.Client(follow_redirects=True, timeout=_TIMEOUT, trust_env=True) as client:
        for url in urls:
            wanted = [file for file in files.values() if file.url == url]
            _take(_download(client, url, wanted, models.folder / FOLDER, progress), wanted, models)
    with contextlib.suppress(OSError):  # another download may still be under way there
        (models.folder / FOLDER).rmdir()
    return [entry.name for entry in missing]


def by_hand(file: ModelFile) -> str:
    """How to bring a file without this machine's network."""
    where = f"from {file.url} " if file.url else ""
    return f"Get {file.filename} {where}on another machine and give it to `rollcall model import FILE`."


def _take(part: _Part, wanted: list[ModelFile], models: Models) -> None:
    """Install the files of a finished download; whatever happens, the download is used up."""
    try:
        for file in wanted:
            if file.member:
                names = _install_member(part.data, file, models)
            else:
                with part.data.open("rb") as stream:
                    names = install(stream, models, file)
            if not names:
                message = f"What {file.url} sent is not {file.filename} as the registry knows it: its digest is not {file.sha256[:12]}."
                raise ModelInvalid(message, f"Try again later, or: {by_hand(file)}", url=file.url)
    finally:
        part.drop()


def _install_member(archive: Path, file: ModelFile, models: Models) -> tuple[str, ...]:
    """Install one file of a zip, found by its name in whatever folder of the archive."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if info.filename.rsplit("/", 1)[-1] == file.member and info.file_size == file.size:
                    with opened.open(info) as stream:
                        return install(stream, models, file)
    except zipfile.BadZipFile as error:
        raise ModelInvalid(f"What {file.url} sent is not a zip archive: {error}.", by_hand(file), url=file.url) from error
    return ()


def _download(client: httpx2.Client, url: str, wanted: list[ModelFile], folder: Path, progress: Progress) -> _Part:
    """Bring one address to disk, going on after breaks as long as each try brings something."""
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(url.encode()).hexdigest()[:16]
    part = _Part(folder / f"{key}.part", folder / f"{key}.validator")
    failures = 0
    while True:
        before = part.size
        try:
            _stream(client, url, part, progress)
            return part
        except httpx2.HTTPStatusError as error:
            raise _refused(url, f"the server answered {error.response.status_code}", wanted[0]) from error
        except httpx2.HTTPError as error:
            failures = 0 if part.size > before else failures + 1
            if failures >= ATTEMPTS:
                raise _refused(url, f"{type(error).__name__}: {error}", wanted[0]) from error


def _refused(url: str, why: str, file: ModelFile) -> RollcallError:
    hint = f"Check the network and the proxy settings and run the same command again: it goes on where it ended. Or: {by_hand(file)}"
    return RollcallError(f"{url} could not be downloaded: {why}.", hint, url=url)


def _stream(client: httpx2.Client, url: str, part: _Part, progress: Progress) -> None:
    """One request: the rest of the file where the server allows it, else all of it.

    Raises:
        HTTPStatusError: the server refuses.
        HTTPError: the connection broke, or what arrived is shorter than announced; what came is kept.
    """
    headers = {"Accept-Encoding": "identity"}
    validator = part.validator.read_text() if part.validator.exists() else ""
    start = part.size if validator else 0
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.drop()
            raise httpx2.RemoteProtocolError("the server has no such rest of the file")
        response.raise_for_status()
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:
            start = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.drop()
            raise httpx2.RemoteProtocolError("the server sent another part than the one asked for")
        part.validator.write_text(_validator(response))
        length = int(response.headers.get("Content-Length", 0))
        total, done = start + length if length else 0, start
        with part.data.open("r+b" if start else "wb") as out:
            out.seek(start)
            for block in response.iter_raw():
                out.write(block)
                done += len(block)
                progress(done, total)
    if total and done != total:
        raise httpx2.RemoteProtocolError(f"{done} of {total} bytes arrived")


def _validator(response: httpx2.Response) -> str:
    """What tells this version of the file from another; a weak ETag cannot be used for ranges."""
    tag = str(response.headers.get("ETag", ""))
    return tag if tag and not tag.startswith("W/") else str(response.headers.get("Last-Modified", ""))

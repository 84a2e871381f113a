"""LibRaw in a process of its own: what it does wrong costs one call, in the fault that it is, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ispdsl.executors import libraw_process
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import Executor, Limits
from ispdsl.executors.stopping import Stop, Stopped, stoppable
from ispdsl.graph import Graph, build
from ispdsl.lower.loader import load
from ispdsl.runtime.frame import Frame
from ispdsl.runtime.rawfile import read
from ispdsl.synthetic import sample_photo, synthesise, write_dng
from tests.executors.test_libraw import PIPELINE, START, bare, opened, run

DENOISED: dict[str, Any] = {"wavelet_denoise__threshold": 1000}


def frame_of(folder: Path, width: int = 96) -> Frame:
    write_dng(folder / "a.dng", synthesise(sample_photo("coffee", width), seed=2, gains=(0.6, 1.5)))
    return read(folder / "a.dng")


def pid_of(executor: Any) -> int:
    return executor.developer._running._process.pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def fault_of(executor: Executor, frame: Frame, **values: Any) -> ExecutorError:
    with pytest.raises(ExecutorError) as caught:
        run(executor, frame, **values)
    return caught.value


def outcome(executor: Executor, frame: Frame) -> ExecutorError | None:
    """How a call with wavelet denoising ends."""
    try:
        run(executor, frame, **DENOISED)
    except ExecutorError as error:
        return error
    return None


def test_a_crash_of_the_library_is_the_fault_of_that_call_alone(tmp_path: Path) -> None:
    """Wavelet denoising crashes LibRaw 0.22.2 on this raw. Where a later one does not, there is a picture."""
    frame = frame_of(tmp_path, 256)
    with opened(frame, same=False, limits=Limits(seconds=3)) as executor:
        before = run(executor, frame).outputs["display"]
        error = outcome(executor, frame)
        if error is not None:
            assert error.fault in (Fault.CRASH, Fault.HANG)
            assert "noise_thr = 1000" in str(error)
            assert error.command
            if error.fault is Fault.CRASH:
                assert error.status is not None
                number = signal.Signals(-error.status)
                # it writes beyond its memory: the processor finds that, or the C library does, from run to run
                assert number in (signal.SIGSEGV, signal.SIGABRT)
                assert f"ended by {number.name}" in str(error)
        assert np.array_equal(run(executor, frame).outputs["display"], before)


def test_what_may_crash_does_not_run_in_this_process(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    with opened(frame) as executor:
        error = fault_of(executor, frame, **DENOISED)
        assert error.fault is Fault.SETTINGS
        assert "process = worker" in str(error)
        run(executor, frame, wavelet_denoise__threshold=0)


def test_a_process_that_ran_what_may_crash_runs_nothing_else(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    with opened(frame, same=False, limits=Limits(seconds=5)) as executor:
        run(executor, frame)
        first = pid_of(executor)
        run(executor, frame)
        assert pid_of(executor) == first
        outcome(executor, frame)
        run(executor, frame)
        assert pid_of(executor) != first
        assert not alive(first)


@pytest.mark.parametrize("threshold", [*(pytest.param(each, marks=pytest.mark.slow) for each in (100, 10000)), 1000])
def test_wavelet_denoising_is_what_it_is_in_rawpy(tmp_path: Path, threshold: int) -> None:
    """On a raw so small that LibRaw 0.22.2 comes through; a bare call, in a process too."""
    frame = frame_of(tmp_path, 64)
    script = (
        "import sys, numpy, rawpy; raw = rawpy.imread(sys.argv[1]); "
        f"numpy.save(sys.argv[2], raw.postprocess(noise_thr={threshold}, **{START!r}, output_bps=16, user_flip=0))"
    )
    command = [sys.executable, "-c", script, frame.source.path, str(tmp_path / "a.npy")]
    status = subprocess.run(command, timeout=20, check=False).returncode
    with opened(frame, same=False, limits=Limits(seconds=10)) as executor:
        if status:
            assert fault_of(executor, frame, wavelet_denoise__threshold=threshold).status == status
        else:
            picture = run(executor, frame, wavelet_denoise__threshold=threshold).outputs["display"]
            expected = np.moveaxis(np.load(tmp_path / "a.npy"), -1, 0).astype(np.float32) / np.float32(65535)
            assert np.array_equal(picture, expected)


def test_what_may_hang_has_the_time_that_the_text_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "impostor.py").write_text("import time; time.sleep(60)\n")
    monkeypatch.setattr(libraw_process, "MODULE", "impostor")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    frame = frame_of(tmp_path)
    text = (Path(__file__).parents[2] / "stdlib" / "libraw" / "mosaic.isp").read_text(encoding="utf-8")
    (tmp_path / "mosaic.isp").write_text(text.replace("fragile = 30s", "fragile = 1s"))
    made = changed_pipeline(tmp_path)
    with opened(frame, same=False, made=made) as executor, pytest.raises(ExecutorError, match="within 1 s") as caught:
        run(executor, frame, made=made, **DENOISED)
    assert caught.value.fault is Fault.HANG


def changed_pipeline(folder: Path) -> Graph:
    """pipelines/libraw.isp with the mosaic's stages of this folder."""
    text = PIPELINE.read_text(encoding="utf-8")
    (folder / "changed.isp").write_text(
        text.replace("libraw.mosaic", "mosaic").replace("pipeline libraw", "pipeline own")
    )
    return build(load(folder / "changed.isp"))


def test_no_threshold_is_no_denoising(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, 256)
    with opened(frame, same=False) as executor:
        picture = run(executor, frame, wavelet_denoise__threshold=0).outputs["display"]
    assert np.array_equal(picture, bare(Path(frame.source.path), **START))


def test_a_process_that_is_killed_from_outside_is_a_crash(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    with opened(frame, same=False) as executor:
        run(executor, frame)
        os.kill(pid_of(executor), signal.SIGKILL)
        error = fault_of(executor, frame)
        assert (error.fault, error.status) == (Fault.CRASH, -signal.SIGKILL)
        assert "SIGKILL" in str(error)
        run(executor, frame)


def test_a_process_that_hangs_is_killed_within_the_limit(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    with opened(frame, same=False, limits=Limits(seconds=1)) as executor:
        run(executor, frame)
        pid = pid_of(executor)
        os.kill(pid, signal.SIGSTOP)
        begin = time.perf_counter()
        error = fault_of(executor, frame)
        assert error.fault is Fault.HANG
        assert time.perf_counter() - begin < 3
        assert not alive(pid)
        run(executor, frame)


def test_memory_is_limited(tmp_path: Path) -> None:
    frame = frame_of(tmp_path, 768)
    with opened(frame, same=False, limits=Limits(memory=2**20)) as executor:
        error = fault_of(executor, frame)
    assert error.fault is Fault.MEMORY
    with opened(frame, same=False, limits=Limits(memory=2**31)) as executor:
        run(executor, frame)


def test_a_picture_larger_than_allowed_is_a_flood(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    with opened(frame, same=False, limits=Limits(output=10_000)) as executor:
        assert fault_of(executor, frame).fault is Fault.FLOOD


ANSWERS = {
    "crashed with status": ("import os; os._exit(3)", Fault.CRASH),
    "no message": ("c.recv(9); c.sendall(b'\\xff' * 64)", Fault.GARBAGE),
    "no JSON": ("c.recv(9); c.sendall(b'\\0\\0\\0\\4nope')", Fault.GARBAGE),
    "no picture": ("m.receive(c); m.send(c, dict(shape=[3, 64, 96], seconds=0, stretch=[1, 1]))", Fault.GARBAGE),
    "too small": (
        "m.receive(c); m.send(c, dict(shape=[3, 64, 96], seconds=0, stretch=[1, 1]), m.unnamed_file())",
        Fault.GARBAGE,
    ),
    "another size": (
        "m.receive(c); f = m.unnamed_file(); import os; os.ftruncate(f, 48); "
        "m.send(c, dict(shape=[3, 2, 2], seconds=0, stretch=[1, 1]), f)",
        Fault.SHAPE,
    ),
    "planes, not pixels": (
        "m.receive(c); f = m.unnamed_file(); import os; os.write(f, b'1' * 36864); "
        "m.send(c, dict(shape=[3, 64, 96], seconds=0, stretch=[1, 1]), f)",
        Fault.SHAPE,
    ),
    "pixels of nothing": (
        "m.receive(c); f = m.unnamed_file(); import os; os.write(f, b'1' * 36864); "
        "m.send(c, dict(shape=[-64, -96, 3], seconds=0, stretch=[1, 1]), f)",
        Fault.GARBAGE,
    ),
    "nothing that was asked": ("m.receive(c); m.send(c, dict(answer=42), m.unnamed_file())", Fault.GARBAGE),
    "no fault of ours": ("m.receive(c); m.send(c, dict(fault='bored'), m.unnamed_file())", Fault.GARBAGE),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_nothing_that_the_process_says_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    script, fault = ANSWERS[kind]
    head = "import socket, sys; from ispdsl.executors import libraw_messages as m; "
    module = tmp_path / "impostor.py"
    module.write_text(f"{head}c = socket.socket(fileno=int(sys.argv[1]))\n{script}\nsys.stdin.read()\nc.recv(1)\n")
    monkeypatch.setattr(libraw_process, "MODULE", "impostor")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    frame = frame_of(tmp_path)
    with opened(frame, same=False, limits=Limits(seconds=5)) as executor:
        assert fault_of(executor, frame).fault is fault


def test_what_it_wrote_to_stderr_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "impostor.py").write_text("import sys; sys.exit('the library has had enough')\n")
    monkeypatch.setattr(libraw_process, "MODULE", "impostor")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    frame = frame_of(tmp_path)
    with opened(frame, same=False) as executor:
        error = fault_of(executor, frame)
    assert (error.fault, error.status) == (Fault.CRASH, 1)
    assert "had enough" in error.tail


def test_a_file_that_libraw_cannot_read_is_its_own_error(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    path = Path(frame.source.path)
    path.write_bytes(b"nothing" * 99)
    import hashlib

    changed = replace(frame, source=replace(frame.source, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    for same in (True, False):
        with opened(frame, same=same) as executor:
            error = fault_of(executor, changed)
            assert error.fault is Fault.CRASH
            assert "Unsupported file format" in str(error)


def test_no_process_is_left(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    with opened(frame, same=False) as executor:
        picture = run(executor, frame).outputs["display"]
        pid = pid_of(executor)
    assert not alive(pid)
    assert 0 < picture.mean() < 1


def test_it_ends_when_whoever_started_it_is_gone(tmp_path: Path) -> None:
    frame = frame_of(tmp_path)
    script = (
        "import sys, os; sys.path.insert(0, os.getcwd());\n"
        "from tests.executors.test_libraw import opened, run; from ispdsl.runtime.rawfile import read\n"
        "frame = read(sys.argv[1])\n"
        "executor = opened(frame, same=False).thing; run(executor, frame)\n"
        "print(executor.developer._running._process.pid, flush=True); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, frame.source.path], capture_output=True, text=True, check=False, timeout=60
    )
    pid = int(done.stdout)
    for _ in range(100):
        if not alive(pid):
            break
        time.sleep(0.05)
    assert not alive(pid)


def test_another_thread_can_stop_it(tmp_path: Path) -> None:
    frame, stop = frame_of(tmp_path), Stop()
    with opened(frame, same=False) as executor:
        run(executor, frame)
        pid = pid_of(executor)
        os.kill(pid, signal.SIGSTOP)
        timer = threading.Timer(0.3, stop.ask)
        timer.start()
        with stoppable(stop), pytest.raises(Stopped):
            run(executor, frame)
        timer.join()
        assert not alive(pid)


def test_it_starts_without_torch(tmp_path: Path) -> None:
    script = "import sys, ispdsl.executors.libraw_worker, rawpy; sys.exit('torch' in sys.modules)"
    begin = time.perf_counter()
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert time.perf_counter() - begin < 5


@pytest.mark.slow
@pytest.mark.realdata
def test_wavelet_denoising_on_real_raws_ends_in_a_fault_or_a_picture(data: Path) -> None:
    for path in sorted((data / "raw" / "gopro" / "crops").glob("*.dng"))[:3]:
        frame = read(path)
        with opened(frame, same=False, limits=Limits(seconds=30)) as executor:
            error = outcome(executor, frame)
            assert error is None or error.fault in (Fault.CRASH, Fault.HANG)
            assert np.array_equal(run(executor, frame).outputs["display"], bare(path, **START))

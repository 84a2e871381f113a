"""Programs run by their argument lists, see nothing of the user's, and leave nothing alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ispdsl.executors import sandbox
from ispdsl.executors.faults import ExecutorError, Fault
from ispdsl.executors.model import MIB, Limits
from ispdsl.executors.sandbox import empty_folder, run_program, signal_name
from ispdsl.executors.stopping import Stop, Stopped, interruptible, stoppable
from tests.executors.processes import alive, dies, lives

LIMITS = Limits(seconds=20, memory=512 * MIB, output=MIB)
SHORT = Limits(seconds=0.3, memory=512 * MIB, output=MIB)
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _few_keepers() -> Iterator[None]:
    yield
    sandbox.dismiss()


@pytest.fixture
def mark() -> str:
    return f"mark-{os.urandom(8).hex()}"


def shell(text: str, folder: Path, limits: Limits = LIMITS, mark: str = "mark", **further: object) -> sandbox.Finished:
    return run_program(["sh", "-c", text, mark], folder, limits, **further)  # pyright: ignore[reportArgumentType]


def refusal(command: list[str], folder: Path, limits: Limits = LIMITS) -> ExecutorError:
    with pytest.raises(ExecutorError) as caught:
        run_program(command, folder, limits)
    return caught.value


def script(path: Path, first: str = "#!/bin/sh", rest: str = "echo here") -> Path:
    path.write_text(f"{first}\n{rest}\n")
    path.chmod(0o755)
    return path


def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    words = ["$HOME", "*", "a; echo b", "`date`", "", "ü", "two\nlines", os.fsdecode(b"\xff")]
    found = run_program(
        [sys.executable, "-I", "-S", "-c", "import sys; print(ascii(sys.argv[1:]))", *words], tmp_path, LIMITS
    )
    assert found.output == ascii(words) + "\n"


def test_it_runs_in_the_folder_and_keeps_what_it_leaves(tmp_path: Path) -> None:
    found = shell("pwd; echo kept > left", tmp_path)
    assert found.output == f"{tmp_path.resolve()}\n"
    assert (tmp_path / "left").read_text() == "kept\n"
    assert 0 < found.seconds < 10


def test_nothing_of_the_users_environment_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LD_PRELOAD_NOT", "x")
    seen = dict(line.split("=", 1) for line in run_program(["env"], tmp_path, LIMITS).output.splitlines())
    private = {
        "HOME",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
        "XDG_RUNTIME_DIR",
    }
    assert seen.keys() == {"PATH", "LANG"} | private
    assert seen["LANG"] == "C.UTF-8"
    assert all("ispdsl-" in seen[name] and Path.home() not in Path(seen[name]).parents for name in private)


def test_what_is_asked_for_is_seen(tmp_path: Path) -> None:
    found = run_program(["env"], tmp_path, LIMITS, environment={"OMP_NUM_THREADS": "1", "LANG": "C"})
    assert {"OMP_NUM_THREADS=1", "LANG=C"} <= set(found.output.splitlines())


def test_its_home_is_empty_each_time(tmp_path: Path) -> None:
    first = shell('echo x > "$HOME/x"; mkdir -p "$HOME/d/e"; ln -s / "$TMPDIR/all"; chmod 0 "$HOME/d"', tmp_path)
    again = shell('ls -A "$HOME" "$TMPDIR" | grep -v :; echo x > "$HOME/y"', tmp_path)
    assert first.output == ""
    assert again.output.split() == []
    assert Path("/etc/passwd").exists()


def test_its_home_is_there_again_when_it_has_been_replaced(tmp_path: Path) -> None:
    shell('rm -r "$HOME"; ln -s / "$HOME"; rm -r "$TMPDIR"; echo x > "$TMPDIR"', tmp_path)
    assert shell('test -d "$HOME" && ! test -L "$HOME" && test -d "$TMPDIR" && echo good', tmp_path).output == "good\n"


def test_it_lays_no_traps_for_the_next(tmp_path: Path) -> None:
    """What the next one is given is written beside its home: not through a link that this one has left there."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    shell(f'ln -s {victim} "$HOME/../stdin"; mkdir "$HOME/../more"', tmp_path)
    found = run_program(["sh", "-c", 'cat; ls "$HOME/.."'], tmp_path, LIMITS, stdin=b"new ")
    assert found.output.split() == ["new", "home", "stdin", "tmp"]
    assert victim.read_text() == "precious"


def test_it_reads_what_it_is_given(tmp_path: Path) -> None:
    assert run_program(["cat"], tmp_path, LIMITS, stdin=b"picture").output == "picture"
    assert run_program(["cat"], tmp_path, LIMITS).output == ""
    assert list(tmp_path.iterdir()) == []


def test_what_it_says_can_be_its_result(tmp_path: Path) -> None:
    found = shell("echo result; echo said >&2", tmp_path, stdout=tmp_path / "result")
    assert (tmp_path / "result").read_text() == "result\n"
    assert (found.output, found.errors) == ("", "said\n")


def test_the_end_of_what_it_says_is_kept(tmp_path: Path) -> None:
    found = run_program(["seq", "100000"], tmp_path, LIMITS)
    assert found.output.endswith("99999\n100000\n")
    assert len(found.output) == 256 * 1024


def test_limits_are_set_before_it_runs(tmp_path: Path) -> None:
    found = shell("ulimit -v; ulimit -f; ulimit -c; ulimit -t", tmp_path)
    memory, file, core, seconds = found.output.split()
    assert (int(memory) * 1024, core) == (LIMITS.memory, "0")
    assert int(file) in (LIMITS.output // 512, LIMITS.output // 1024)  # shells count in blocks of either
    assert int(seconds) >= LIMITS.seconds


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    script(tmp_path / "lost", "#!/nowhere/interpreter")
    (tmp_path / "plain").write_text("text")
    (tmp_path / "noise").write_bytes(b"\x00\x01\x02")
    (tmp_path / "noise").chmod(0o755)
    for command, words in {
        "no-such-program": "no program no-such-program on PATH",
        "./no-such-program": "is not there",
        "./plain": "not executable",
        "./": "is no file",
        "./lost": "No such file",
        "./noise": "Exec format error",
        "": "names no program",
    }.items():
        error = refusal([command], tmp_path)
        assert error.fault is Fault.ABSENT, command
        assert words in error.message
    assert refusal([], tmp_path).fault is Fault.ABSENT


def test_a_program_beside_is_found_from_the_folder(tmp_path: Path) -> None:
    script(tmp_path / "own tool")
    assert run_program(["./own tool"], tmp_path, LIMITS).output == "here\n"


def test_arguments_that_cannot_be_passed(tmp_path: Path) -> None:
    assert refusal(["echo", "a\0b"], tmp_path).fault is Fault.SETTINGS
    assert refusal(["echo", "x" * 2**22], tmp_path).fault is Fault.SETTINGS
    assert run_program(["echo", "well"], tmp_path, LIMITS).output == "well\n"


def test_a_crash_says_how(tmp_path: Path) -> None:
    error = refusal(["sh", "-c", "echo last words >&2; kill -ABRT $$"], tmp_path)
    assert (error.fault, error.status, error.tail) == (Fault.CRASH, -signal.SIGABRT, "last words")
    assert "SIGABRT" in error.message
    assert signal_name(-200) == "signal 200"


def test_signals_do_what_they_do_anywhere(tmp_path: Path) -> None:
    """Python ignores these two, and whoever it starts would."""
    error = refusal(["dd", "if=/dev/zero", "of=file", "bs=64k"], tmp_path)
    assert (error.fault, error.status) == (Fault.FLOOD, -signal.SIGXFSZ)
    assert (tmp_path / "file").stat().st_size == LIMITS.output
    assert shell("yes | head -n 1", tmp_path).errors == ""


def test_a_program_that_stops_itself_hangs(tmp_path: Path, mark: str) -> None:
    begun = time.monotonic()
    assert refusal(["sh", "-c", "kill -STOP $$", mark], tmp_path, SHORT).fault is Fault.HANG
    assert time.monotonic() - begun < SHORT.seconds + 3
    assert not alive(mark)


def test_what_runs_on_in_the_background_dies_and_is_no_fault(tmp_path: Path, mark: str) -> None:
    """Also what has left the session, and the environment with its marks."""
    rest = f"setsid env -i setsid sh -c 'sleep 60; :' {mark} & sh -c 'sleep 60; :' {mark} & sleep 0.1; echo well"
    assert shell(rest, tmp_path).output == "well\n"
    assert not alive(mark)


def test_children_of_others_are_left_alone(tmp_path: Path, mark: str) -> None:
    code = "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, mark], start_new_session=True) as own:
        refusal(["sleep", "60"], tmp_path, SHORT)
        shell("sleep 60 & exit 0", tmp_path)
        assert own.poll() is None
        own.terminate()
        assert own.wait(10) == -signal.SIGTERM


def test_an_interrupt_here_ends_it_there(tmp_path: Path, mark: str) -> None:
    def interrupt() -> None:
        assert lives(mark)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        shell("setsid sleep 60 & sleep 60; :", tmp_path, mark=mark)
    other.join()
    assert not alive(mark)
    assert run_program(["echo", "well"], tmp_path, LIMITS).output == "well\n"


def test_our_own_death_ends_it_there(tmp_path: Path, mark: str) -> None:
    code = f"""
from pathlib import Path
from ispdsl.executors.model import Limits
from ispdsl.executors.sandbox import run_program
command = ["sh", "-c", "setsid sh -c 'sleep 60; :' {mark} & sleep 60; :", "{mark}"]
run_program(command, Path({str(tmp_path)!r}), Limits())
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment) as other:
        assert lives(mark, 20)
        other.kill()
    assert dies(mark)
    until = time.monotonic() + 5
    while any(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(tmp_path.iterdir()), "the private folder is still there"


def test_another_thread_stops_it(tmp_path: Path, mark: str) -> None:
    stop, ended = Stop(), threading.Event()

    def work() -> None:
        with pytest.raises(Stopped), stoppable(stop):
            shell("sleep 60; :", tmp_path, mark=mark)
        ended.set()

    other = threading.Thread(target=work)
    other.start()
    assert lives(mark)
    stop.ask()
    assert ended.wait(5)
    other.join()
    assert not alive(mark)


def test_a_stop_before_the_start_spoils_no_later_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper that was stopped is not used again, though no program has run in it."""
    stop = Stop()

    def stopped_meanwhile(*_: object) -> str:
        stop.ask()
        raise ExecutorError(Fault.ABSENT, "there is none")

    shell("true", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "_find", stopped_meanwhile)
        with pytest.raises(Stopped), stoppable(stop):
            shell("true", tmp_path)
    assert shell("echo well", tmp_path).output == "well\n"


def test_after_a_stop_nothing_starts() -> None:
    stop = Stop()
    stop.ask()
    with pytest.raises(Stopped), stoppable(stop), interruptible(lambda: None):
        pytest.fail("it has begun")


def test_a_failure_that_the_stop_brought_about_is_the_stop() -> None:
    def fail(stop: Stop, asked: bool) -> None:
        with stoppable(stop), interruptible(lambda: None):
            if asked:
                stop.ask()
            raise OSError("the connection is closed")

    with pytest.raises(Stopped):
        fail(Stop(), asked=True)
    with pytest.raises(OSError, match="closed"):
        fail(Stop(), asked=False)


def test_ctrl_c_at_a_terminal_is_not_the_keepers(tmp_path: Path) -> None:
    keeper = int(shell("echo $PPID", tmp_path).output)
    assert os.getsid(keeper) != os.getsid(0)


def test_too_many_processes_are_too_many(tmp_path: Path, mark: str) -> None:
    rest = "while :; do sleep 60 & done"
    error = refusal(["sh", "-c", rest, mark], tmp_path, Limits(seconds=60))
    assert error.fault is Fault.FLOOD
    assert "processes" in error.message
    assert not alive(mark)


def test_many_at_once_keep_apart(tmp_path: Path) -> None:
    def say(number: int) -> str:
        with empty_folder() as folder:
            return shell(f'echo {number} > own; sleep 0.02; cat own; ls -A "$HOME"', folder).output

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(say, range(12))) == [f"{number}\n" for number in range(12)]


def test_a_keeper_is_used_again(tmp_path: Path) -> None:
    parents = {shell("echo $PPID", tmp_path).output for _ in range(3)}
    assert len(parents) == 1
    refusal(["sleep", "60"], tmp_path, SHORT)
    assert shell("echo $PPID", tmp_path).output in parents


def test_a_forked_process_has_keepers_of_its_own(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from ispdsl.executors.model import Limits
from ispdsl.executors.sandbox import run_program
folder = Path({str(tmp_path)!r})
command = ["sh", "-c", "echo $PPID"]
first = run_program(command, folder, Limits()).output
child = os.fork()
if child == 0:
    os._exit(0 if run_program(command, folder, Limits()).output != first else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child used the parent's"
assert run_program(command, folder, Limits()).output == first
"""
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_an_empty_folder_goes_with_all_that_is_in_it() -> None:
    with empty_folder() as folder:
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o077 == 0
        inner = folder / "a/b"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        (folder / "link").symlink_to("/etc")
        inner.chmod(0)
        (folder / "a").chmod(0o500)
    assert not folder.exists()
    assert Path("/etc/passwd").exists()

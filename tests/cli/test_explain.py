"""`ispdsl explain`, `stages`, `version`: what is known, and what is near to it."""

from __future__ import annotations

import json

from ispdsl.catalogue import ENTRIES
from ispdsl.catalogue.properties import PAGES, plain
from ispdsl.cli import doctor
from ispdsl.render.characters import with_bytes_shown
from tests.cli.conftest import Invoke


def test_every_code_has_its_page(invoke: Invoke) -> None:
    listing = invoke("explain").stdout.splitlines()
    assert [line.split()[0] for line in listing] == list(ENTRIES)
    for code, entry in ENTRIES.items():
        page = invoke("explain", code.lower()).stdout
        assert page.startswith(f"{code}: {entry.title}\n")
        assert all(line.strip() in page for line in with_bytes_shown(entry.wrong + entry.right).splitlines())
        assert json.loads(invoke("explain", code, "--json").stdout)["title"] == entry.title


def test_an_unknown_code_is_a_usage_error(invoke: Invoke) -> None:
    result = invoke("explain", "E999")
    assert result.exit_code == 2
    assert "there is no code E999" in result.stderr
    assert invoke("explain", "a", "b", "c").exit_code == 2


def test_every_property_is_explained(invoke: Invoke) -> None:
    listing = invoke("explain", "property").stdout.splitlines()
    assert [line.split()[0] for line in listing] == list(PAGES)
    for name, page in PAGES.items():
        text = invoke("explain", "property", name).stdout
        assert text == f"{plain(page)}\n"
        assert json.loads(invoke("explain", "property", name, "--json").stdout)["meaning"] == page.meaning
    near = invoke("explain", "property", "linaer")
    assert near.exit_code == 2
    assert "did you mean linear?" in near.stderr


def test_a_page_says_all_about_its_property(invoke: Invoke) -> None:
    text = invoke("explain", "property", "monotone").stdout
    assert text.startswith("property monotone: does not fall as")
    assert "    property monotone in NAMES [when CONDITION] [within V]\n" in text
    for heading in ("Tried on:", "Tolerance:", "Catches:", "In the standard library:", "Right:", "Wrong (E507):"):
        assert heading in text
    assert "      property monotone in ev when image >= 0\n    }\n" in text
    assert "tone.exposure" in text


def test_what_is_implied_has_a_page_for_all_of_its_names(invoke: Invoke) -> None:
    page = invoke("explain", "implied").stdout
    assert page.startswith("implied: what is tested of every stage")
    assert invoke("explain", "exports").stdout == invoke("explain", "property", "Agreement").stdout == page


def test_stages_are_listed_by_file(invoke: Invoke) -> None:
    result = invoke("stages")
    lines = result.stdout.splitlines()
    assert "from tone import" in lines
    assert max(map(len, lines)) <= 120
    stages = [line.split()[0] for line in lines if line.startswith("  ")]
    assert {"exposure", "malvar", "srgb"} <= set(stages)
    assert f"{len(stages)} stages; `ispdsl stages NAME` describes one" in result.stderr
    known = [each["import"] for each in json.loads(invoke("stages", "--json").stdout)]
    assert len(stages) == len(known) == len(set(known)), "one line a stage"
    plain = [key for key in known if key.count(".") == 1]
    assert known[: len(plain)] == plain, "stages of real things come last"
    assert len({key.rpartition(".")[2] for key in plain}) == len(plain)


def test_stages_are_listed_with_their_parameters_on_demand(invoke: Invoke) -> None:
    lines = invoke("stages", "--parameters").stdout.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith("  exposure "))
    assert lines[place + 1].split() == ["ev", "slider", "-18ev..18ev", "soft", "-4ev..4ev", "=", "0ev"]
    known = {each["import"] for each in json.loads(invoke("stages", "--json").stdout)}
    assert {"tone.exposure", "demosaic.malvar", "colour.srgb"} <= known


def test_a_stage_is_described(invoke: Invoke) -> None:
    text = invoke("stages", "exposure").stdout
    assert text.startswith("tone.exposure(image: rgb<S, f32>) -> rgb<S, f32>\n")
    assert "-18ev..18ev soft -4ev..4ev" in text
    assert "property identity when ev == 0ev and bias == 0ev" in text
    assert "\n  identity  when ev == 0ev and bias == 0ev\n" in text
    assert "\n  source    ISO 2721:2013" in text
    assert text.count("ISO 2721:2013") == 1
    assert "identity" not in invoke("stages", "malvar").stdout
    assert invoke("stages", "tone.exposure").stdout == text
    described = json.loads(invoke("stages", "exposure", "--json").stdout)
    assert described["parameters"][0]["hard"] == [-18, 18]
    assert "location" not in json.dumps(described)


def test_stages_of_a_real_thing_are_named_by_their_folder(invoke: Invoke) -> None:
    assert "darktable.tone.exposure is of a real thing" in invoke("stages", "exposure").stderr
    assert invoke("stages", "darktable.tone.exposure").stdout.startswith("darktable.tone.exposure(image: ")
    listed = invoke("stages", "darktable").stdout
    assert "from darktable.tone import" in listed
    assert "from tone import" not in listed.splitlines()


def test_an_unknown_stage_is_a_usage_error(invoke: Invoke) -> None:
    result = invoke("stages", "expozure")
    assert result.exit_code == 2
    assert "did you mean exposure?" in result.stderr


def test_version(invoke: Invoke) -> None:
    assert invoke("version").stdout == invoke("--version").stdout == f"ispdsl {doctor.ispdsl_version()}\n"
    assert json.loads(invoke("version", "--json").stdout) == {"ispdsl": doctor.ispdsl_version()}


def test_a_property_may_be_asked_for_by_its_name_alone(invoke: Invoke) -> None:
    assert invoke("explain", "monotone").stdout == invoke("explain", "property", "monotone").stdout
    assert "ispdsl explain property" in invoke("explain").stderr
    assert "there is no code montone" in invoke("explain", "montone").stderr


def test_pages_are_text_that_every_reader_takes(invoke: Invoke) -> None:
    pages = [json.loads(invoke("explain", code, "--json").stdout) for code in ENTRIES]
    surrogates = [page for page in pages if any("\ud800" <= c <= "\udfff" for text in page.values() for c in text)]
    assert surrogates == []


def test_the_stages_of_one_file_are_listed(invoke: Invoke) -> None:
    lines = invoke("stages", "tone").stdout.splitlines()
    assert [line for line in lines if line.startswith("from ")] == ["from tone import"]
    place = next(index for index, line in enumerate(lines) if line.startswith("  exposure "))
    assert lines[place + 1].split()[:3] == ["ev", "slider", "-18ev..18ev"]


def test_descriptions_fit_beside_each_other(invoke: Invoke) -> None:
    text = invoke("stages", "colour_balance").stdout
    assert max(map(len, text.splitlines())) <= 120
    assert "gives a more magenta picture" in " ".join(text.split())

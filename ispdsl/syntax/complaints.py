"""What is wrong with a statement that lark rejected, in the words of the language.

The rules below are asked in turn; the first that knows the situation names it.
"""

from __future__ import annotations

from collections.abc import Callable

from ispdsl.diagnostics import Diagnostic, Label, nearest
from ispdsl.source import Source, Span
from ispdsl.syntax.failure import FORMS, ORDER, TABLES, Failure, expected, form
from ispdsl.syntax.scan import Token, shown
from ispdsl.syntax.statements import CLAUSES, DECLARATIONS, IMPLEMENTATIONS, PARAMETERS, STATEMENTS, Piece

Complaint = tuple[str, str, str | None]
"""Code, message, hint."""


def complain(failure: Failure) -> Diagnostic:
    """The diagnostic of a failure; every failure has one."""
    code, message, hint = next(filter(None, (rule(failure) for rule in _RULES)))
    return Diagnostic(code, message, Label(failure.source, failure.place), hint=hint)


def unclosed(source: Source, bracket: Token, last: Token) -> Diagnostic:
    """A bracket without its partner."""
    related = () if last == bracket else (Label(source, Span(last.end, last.end), "what it opens ends here"),)
    place = Label(source, bracket.span, "opened here")
    closing = {"(": ")", "[": "]", "{": "}"}[bracket.text]
    return Diagnostic(
        "E120", f"this '{bracket.text}' is never closed", place, related, hint=f"write '{closing}' where it ends"
    )


def misplaced(source: Source, piece: Piece) -> Diagnostic:
    """What stands where no such thing may."""
    first = piece.tokens[0]
    place = Label(source, first.span, f"stands {piece.stray}")
    if first.text in ("}", ")", "]"):
        return Diagnostic(
            "E121", f"this '{first.text}' closes nothing", place, hint="delete it, or write what it should close"
        )
    if piece.rule == "import_":
        return Diagnostic("E124", "an import stands after a declaration", place, hint="imports come first in a file")
    meant = nearest(first.text, (*DECLARATIONS, "from"))
    if first.text in STATEMENTS or (len(piece.tokens) > 1 and piece.tokens[1].text in ("=", ",")):
        hint = "move it between the braces of one; was a brace closed too early?"
        return Diagnostic("E124", f"'{shown(first.text)}' stands outside any stage or pipeline", place, hint=hint)
    if meant and first.kind == "word":
        return Diagnostic("E122", f"'{shown(first.text)}' is not a keyword", place, hint=f"did you mean '{meant}'?")
    if first.text == "import":
        hint = "write from MODULE import NAME, NAME"
        return Diagnostic("E143", "an import begins with 'from'", place, hint=hint)
    message = f"expected 'from', 'stage' or 'pipeline', found '{shown(first.text)}'"
    return Diagnostic("E150", message, place, hint="a file holds imports, then stages and pipelines")


# ---- the first words -------------------------------------------------------------------------------------


def _keyword(failure: Failure) -> Complaint | None:
    """A keyword without what must follow it."""
    if failure.index == 1 and failure.lead in STATEMENTS and failure.word in ("=", "->"):
        hint = f"choose another name, or write: {FORMS[failure.lead]}"
        return "E123", f"'{failure.lead}' is a keyword and cannot name a value", hint
    return None


def _first(failure: Failure) -> Complaint | None:
    """A word that begins no statement, or none that may stand here."""
    if not failure.lead or failure.index:
        return None
    lead, second = shown(failure.lead), failure.piece.tokens[1:2]
    follows = second[0].text if second else ""
    if failure.piece.rule == "stage_item" and (failure.lead == "stat" or follows in ("=", ",", "->")):
        hint = "write a pipeline, or say what runs with program"
        return "E124", f"'{lead}' begins dataflow, which a stage has not", hint
    if failure.piece.rule == "stage_item" and failure.lead == "predictor":
        return "E124", "a stage has no predictor", "write it in the pipeline that runs"
    if failure.lead in DECLARATIONS:
        return "E124", f"a {lead} cannot stand inside another declaration", "close the braces before it"
    if follows in ("==", ":") and failure.lead not in STATEMENTS:
        return "E148", f"a value is named with '=', not '{follows}'", f"write {lead} = ..."
    if follows in ("->", "("):
        return "E130", "this chain has no name", f"write name = {lead}{' -> ' if follows == '->' else '('}..."
    hint = "a statement begins with a keyword or with 'name ='"
    if failure.piece.tokens[0].kind == "word":
        meant = nearest(failure.lead, STATEMENTS)
        return "E122", f"'{lead}' is not a keyword", f"did you mean '{meant}'?" if meant else hint
    if failure.word in (")", "]", "}"):
        return "E121", f"this '{failure.word}' closes nothing", "delete it"
    return "E150", f"expected a statement, found '{lead}'", hint


def _closing(failure: Failure) -> Complaint | None:
    if failure.word not in (")", "]", "}") or failure.wants_value:
        return None
    opened = [
        token.text
        for token in failure.piece.tokens[: failure.index]
        if token.kind == "symbol" and token.text in "([{)]}"
    ]
    partner = {")": "(", "]": "[", "}": "{"}[failure.word]
    if opened.count(partner) > opened.count(failure.word):
        return None
    return "E121", f"this '{failure.word}' closes nothing", "delete it, or write what it should close"


def _equals(failure: Failure) -> Complaint | None:
    if failure.word == "==" and "EQUAL" in failure.accepted:
        return "E148", "expected '=', found '=='", "'=' gives a value, '==' compares"
    if failure.word in (":", ":=") and "EQUAL" in failure.accepted and failure.lead not in PARAMETERS:
        after = failure.piece.tokens[failure.index + 1 : failure.index + 2]
        given = shown(after[0].text) if after and after[0].kind in ("word", "number", "string") else "..."
        return "E148", f"expected '=', found '{failure.word}'", f"write {shown(failure.before)} = {given}"
    if failure.word == "=" and "COMPARE" in failure.accepted:
        return "E148", "expected a comparison, found '='", "write == to compare"
    return None


# ---- clauses -----------------------------------------------------------------------------------------------


def _unit(failure: Failure) -> Complaint | None:
    found = failure.found
    if not found or found.kind != "word" or found.text in CLAUSES | STATEMENTS or not failure.index:
        return None
    number = failure.piece.tokens[failure.index - 1]
    after = failure.piece.tokens[failure.index + 1 : failure.index + 2]
    if (
        found.text != "to"
        and after
        and (after[0].kind == "number" or (after[0].text == "=" and "COMMA" in failure.accepted))
    ):
        return None  # a word of its own, such as `default 0`, or the next argument without its comma
    if number.kind != "number" or number.text[-1].isalpha() or "\n" in failure.source.text[number.end : found.start]:
        return None
    if found.text == "to":
        return "E133", "'to' makes no range", "a range has two dots: 0..1"
    both = shown(number.text + found.text)
    return "E146", f"the unit '{shown(found.text)}' stands apart from its number", f"write {both}"


def _order(failure: Failure) -> Complaint | None:
    order = ORDER.get(failure.lead, ())
    if failure.word not in order or failure.index < 2:
        return None
    rank = order.index(failure.word)
    missed = [
        word for word in order[:rank] if any(token.text == word for token in failure.piece.tokens[failure.index :])
    ]
    if "$END" in failure.accepted or missed:
        return "E147", f"'{failure.word}' stands in the wrong place", f"the order is: {FORMS[failure.lead]}"
    return None


def _range(failure: Failure) -> Complaint | None:
    hint = "a range is low..high"
    limited = failure.lead in PARAMETERS and failure.lead != "choice"
    if limited and failure.before in ("in", "soft") and failure.wants_value:
        return "E133", f"expected a range such as 0..1 after '{failure.before}', found {failure.described}", hint
    if failure.before == ".." and failure.wants_value:
        return "E133", f"expected the upper end of the range, found {failure.described}", hint
    if failure.lead == "register" and failure.word == ".." and "RSQB" in failure.accepted:
        return "E138", "bits have a colon between them, the high bit first, found '..'", form(failure)
    if failure.word == ".." and failure.index:
        return "E133", "a range has two ends and two dots, no more", hint
    if "DOTS" in failure.accepted and limited:
        return "E133", f"expected '..' and the upper end of the range, found {failure.described}", hint
    if failure.lead == "slider" and "IN" in failure.accepted:
        return (
            "E133",
            f"{failure.title} has no range: expected 'in' and a range such as 0..1, found {failure.described}",
            form(failure),
        )
    return None


def _slots(failure: Failure) -> Complaint | None:
    """What the kind of parameter asks for between its name and its default."""
    accepted, lead = failure.accepted, failure.lead
    if failure.index < 2 or failure.assigned or lead not in PARAMETERS:
        return None
    if (
        failure.before in ("in", "{", ",")
        and lead == "choice"
        or lead == "choice"
        and {"IN", "RBRACE", "LBRACE"} & accepted
    ):
        if "COMMA" in accepted and failure.found and failure.found.kind == "word":
            return None
        return "E140", f"{failure.title} needs its options in braces, found {failure.described}", form(failure)
    if lead == "register" and "EQUAL" not in accepted:
        if failure.before == ":":
            return (
                "E138",
                f"expected a register format such as u4.8 after ':', found {failure.described}",
                form(failure),
            )
        return "E138", f"{failure.title} needs an address, bits and a format, found {failure.described}", form(failure)
    if lead in TABLES and "EQUAL" not in accepted:
        return "E139", f"{failure.title} needs its shape in brackets, found {failure.described}", form(failure)
    if lead in ("meta", "needs") and "COLON" in accepted:
        return (
            "E134",
            f"{failure.title} has no type: expected ':' and a type, found {failure.described}",
            form(failure),
        )
    if "EQUAL" in accepted and failure.word not in ("<", "(", "["):
        return (
            "E132",
            f"{failure.title} has no default: expected '=' and a value, found {failure.described}",
            form(failure),
        )
    return None


def _default(failure: Failure) -> Complaint | None:
    if failure.lead in PARAMETERS and failure.before == "=" and failure.index and "$END" not in failure.accepted:
        what = "the name of an option" if failure.lead == "choice" else "a default value"
        return "E131", f"expected {what} after '=', found {failure.described}", form(failure)
    return None


def _type(failure: Failure) -> Complaint | None:
    hint = "a type is a name, perhaps with arguments: rgb<linear_srgb, f32>"
    if failure.before == ":" or failure.piece.rule == "signature" and failure.before == "->":
        return "E134", f"expected a type after '{failure.before}', found {failure.described}", hint
    if "MORETHAN" in failure.accepted or failure.before == "<" or (failure.before == "," and _within_type(failure)):
        return "E134", f"expected ',' or '>' or a type's argument, found {failure.described}", hint
    if failure.word == "<" and "COLON" in failure.accepted and failure.piece.rule == "signature":
        return "E130", f"this {shown(failure.before)} has no name", f"write image: {shown(failure.before)}<..."
    if "COLON" in failure.accepted and failure.piece.rule == "signature":
        return (
            "E134",
            f"'{shown(failure.before)}' has no type: expected ':' and a type, found {failure.described}",
            hint,
        )
    return None


def _within_type(failure: Failure) -> bool:
    words = [token.text for token in failure.piece.tokens[: failure.index]]
    return words.count("<") > words.count(">") and "when" not in words


# ---- the other statements ----------------------------------------------------------------------------------


def _signature(failure: Failure) -> Complaint | None:
    if failure.piece.rule != "signature":
        return None
    hint = "a signature is name(image: type) -> type"
    if not failure.index:
        return "E130", f"expected the name of the declaration, found {failure.described}", hint
    if "COMMA" in failure.accepted and failure.found and failure.found.kind == "word":
        return None
    if "ARROW" in failure.accepted:
        return "E135", f"expected '->' and what comes out, found {failure.described}", hint
    return "E135", f"the signature is broken at {failure.described}: expected {expected(failure.accepted)}", hint


def _import(failure: Failure) -> Complaint | None:
    if failure.piece.rule != "import_":
        return None
    hint = 'an import is: from module import name, name (or from "path.isp" import name)'
    return "E143", f"the import is broken: expected {expected(failure.accepted)}, found {failure.described}", hint


def _implementation(failure: Failure) -> Complaint | None:
    if failure.lead == "program" and failure.index == 1:
        return (
            "E141",
            f"expected a Python function in quotes after 'program', found {failure.described}",
            form(failure),
        )
    if failure.lead in (*IMPLEMENTATIONS, "stat") and "LPAR" in failure.accepted:
        return (
            "E137",
            f"'{shown(failure.before)}' is called: expected '(', found {failure.described}",
            f"write {shown(failure.before)}()",
        )
    return None


def _stat(failure: Failure) -> Complaint | None:
    if failure.lead == "stat" and (failure.before in ("of", "previous") or {"OF", "EQUAL"} & failure.accepted):
        what = "'of' and the value that it measures" if "OF" in failure.accepted else expected(failure.accepted)
        return "E142", f"{failure.title} needs more: expected {what}, found {failure.described}", form(failure)
    return None


def _property(failure: Failure) -> Complaint | None:
    """A number or a list right behind the name: of `local` it is the radius, of any other a range."""
    number = failure.before == "]" or failure.piece.tokens[failure.index - 1].kind == "number"
    if failure.lead != "property" or "DOTS" not in failure.accepted or not number:
        return None
    name = failure.piece.tokens[1].text
    right = "local within 3px" if name == "local" else f"{shown(name)} 0..1"
    return "E133", f"expected '..' and the upper end of the range, found {failure.described}", f"write property {right}"


def _condition(failure: Failure) -> Complaint | None:
    before = [token.text for token in failure.piece.tokens[: failure.index]]
    if failure.lead == "property" and failure.before == "and" and "when" not in before:
        return "E144", "'and' joins conditions after 'when'", "write each property on a line of its own"
    if "COMPARE" in failure.accepted or (failure.lead == "property" and failure.before in ("when", "and")):
        return (
            "E144",
            f"expected a condition such as ev == 0, found {failure.described}",
            "compare a parameter: == != <= >= < >",
        )
    return None


def _step(failure: Failure) -> Complaint | None:
    if failure.before == "->":
        return (
            "E136",
            f"expected a stage or 'tap name' after '->', found {failure.described}",
            "write stage(...) or delete the arrow",
        )
    if (
        failure.before == "="
        and "LPAR" not in failure.accepted
        and not failure.wants_value
        and failure.lead not in STATEMENTS
    ):
        return (
            "E136",
            f"expected a value or a stage after '=', found {failure.described}",
            "dataflow is: name = value -> stage -> stage",
        )
    return None


# ---- what is left ------------------------------------------------------------------------------------------


def _comma(failure: Failure) -> Complaint | None:
    if not failure.found or "COMMA" not in failure.accepted or "$END" in failure.accepted:
        return None
    if failure.found.kind in ("word", "number", "string") or failure.word == "[":
        return "E145", f"expected ',' before {failure.described}", None
    return None


def _plain(failure: Failure) -> Complaint | None:
    after = f" after '{shown(failure.before)}'" if failure.before else ""
    if failure.wants_value and failure.index > 1:
        return "E131", f"expected a value{after}, found {failure.described}", None
    if failure.accepted - {"PREVIOUS"} <= {"NAME"} and failure.accepted:
        return "E130", f"expected a name{after}, found {failure.described}", form(failure)
    if "$END" in failure.accepted:
        return "E149", f"{failure.described} does not belong to the statement before it", form(failure)
    return "E150", f"expected {expected(failure.accepted)}{after}, found {failure.described}", form(failure)


_RULES: tuple[Callable[[Failure], Complaint | None], ...] = (
    _keyword,
    _first,
    _closing,
    _equals,
    _unit,
    _order,
    _range,
    _slots,
    _default,
    _implementation,
    _stat,
    _import,
    _type,
    _signature,
    _property,
    _condition,
    _step,
    _comma,
    _plain,
)

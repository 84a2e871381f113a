"""From lark's tree to the frozen dataclasses of `ispdsl.syntax.tree`, one function for each rule of the grammar.

The recursion is as deep as the text is nested, which `ispdsl.syntax.limits` bounds before lark sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lark import Token, Tree

from ispdsl.source import Span
from ispdsl.syntax import tree

Rule = Tree[Token]


def build(rule: Rule) -> Any:
    """The node that a rule of the grammar stands for."""
    return _BUILDERS[rule.data](rule)


def _children(rule: Rule) -> list[Any]:
    """Nodes for the subtrees; tokens and absent options as they are."""
    return [build(child) if isinstance(child, Tree) else child for child in rule.children]


def _span(rule: Rule) -> Span:
    return Span(0, 0) if rule.meta.empty else Span(rule.meta.start_pos, rule.meta.end_pos)


def _token_span(token: Token) -> Span:
    start = token.start_pos or 0  # lark's lexer sets it; its type says that others may not
    return Span(start, start + len(token))


# ---- values ------------------------------------------------------------------------------------------


def _name(token: Token) -> tree.Name:
    return tree.Name(str(token), _token_span(token))


def _number(token: Token) -> tree.Number:
    return tree.Number(str(token), _token_span(token))


def _string(token: Token) -> tree.String:
    return tree.String(str(token)[1:-1], _token_span(token))


def _one_of(word: str) -> Any:
    """A word that the grammar holds to the few that its field may have."""
    return str(word)


def _leaf(convert: Callable[[Token], Any]) -> Callable[[Rule], Any]:
    return lambda rule: convert(_tokens(rule)[0])


def _tokens(rule: Rule) -> list[Token]:
    return [child for child in rule.children if isinstance(child, Token)]


def _names(rule: Rule) -> tuple[tree.Name, ...]:
    return tuple(map(_name, _tokens(rule)))


def _present(rule: Rule) -> tuple[Any, ...]:
    return tuple(child for child in _children(rule) if child is not None)


def _list(rule: Rule) -> tree.ListValue:
    return tree.ListValue(_present(rule), _span(rule))


def _range(rule: Rule) -> tree.Range:
    low, high = _children(rule)
    return tree.Range(low, high, _span(rule))


# ---- types and signatures ----------------------------------------------------------------------------


def _type(rule: Rule) -> tree.TypeExpression:
    name, *args = _children(rule)
    return tree.TypeExpression(_name(name), tuple(arg for arg in args if arg is not None), _span(rule))


def _port(rule: Rule) -> tree.Port:
    name, type_ = _children(rule)
    return tree.Port(_name(name), type_, _span(rule))


def _single(rule: Rule) -> tuple[tree.Port, ...]:
    (type_,) = _children(rule)
    return (tree.Port(None, type_, type_.span),)


def _doc(rule: Rule) -> tree.Doc:
    lines = (str(token)[2:].rstrip() for token in rule.children)
    return tree.Doc(tuple(line.removeprefix(" ") for line in lines), _span(rule))


# ---- what a stage or pipeline holds --------------------------------------------------------------------


def _documented(rule: Rule) -> Any:
    doc, node = _children(rule)
    return replace(node, doc=doc) if doc else node


def _slider(rule: Rule) -> tree.Slider:
    name, hard, soft, default = _children(rule)
    return tree.Slider(_name(name), hard, soft, default, None, _span(rule))


def _register(rule: Rule) -> tree.Register:
    name, place, format_, hard, soft, default = _children(rule)
    return tree.Register(_name(name), place, _name(format_), hard, soft, default, None, _span(rule))


def _place(rule: Rule) -> tree.Place:
    address, high, low = (child and _number(child) for child in _children(rule))
    return tree.Place(address, high, low or high, _span(rule))


def _choice(rule: Rule) -> tree.Choice:
    name, options, default = _children(rule)
    return tree.Choice(_name(name), options, _name(default), None, _span(rule))


def _toggle(rule: Rule) -> tree.Toggle:
    name, default = _children(rule)
    return tree.Toggle(_name(name), default, None, _span(rule))


def _table(rule: Rule) -> tree.Table:
    name, shape, hard, default = _children(rule)
    return tree.Table(_one_of(rule.data), _name(name), shape, hard, default, None, _span(rule))


def _shape(rule: Rule) -> tuple[tree.Number, ...]:
    return tuple(map(_number, _tokens(rule)))


def _meta(rule: Rule) -> tree.Meta:
    name, type_, default = _children(rule)
    return tree.Meta(_name(name), type_, default, None, _span(rule))


def _needs(rule: Rule) -> tree.Needs:
    name, type_ = _children(rule)
    return tree.Needs(_name(name), type_, None, _span(rule))


def _stat(rule: Rule) -> tree.Stat:
    name, call, previous, of = _children(rule)
    return tree.Stat(_name(name), call, _name(of), previous is not None, None, _span(rule))


def _program(rule: Rule) -> tree.Program:
    (target,) = _children(rule)
    return tree.Program(_string(target), _span(rule))


def _proxy(rule: Rule) -> tree.Proxy:
    (call,) = _children(rule)
    return tree.Proxy(call, _span(rule))


def _executor(rule: Rule) -> tree.Executor:
    (call,) = _children(rule)
    return tree.Executor(call, _span(rule))


def _predictor(rule: Rule) -> tree.Predictor:
    (path,) = _children(rule)
    return tree.Predictor(_string(path), _span(rule))


def _property(rule: Rule) -> tree.Property:
    name, subject, inside, when, within = _children(rule)
    names = subject if isinstance(subject, tuple) else ()
    range_ = subject if isinstance(subject, tree.Range) else None
    degree = subject if isinstance(subject, tree.Number) else None
    return tree.Property(_name(name), names, range_, degree, inside or (), when or (), within, _span(rule))


def _inside(rule: Rule) -> tuple[tree.Name, ...]:
    (names,) = _children(rule)
    return names


def _comparison(rule: Rule) -> tree.Comparison:
    left, operator, right = _children(rule)
    return tree.Comparison(_name(left), _one_of(operator), right, _span(rule))


# ---- dataflow --------------------------------------------------------------------------------------------


def _flow(rule: Rule) -> tree.Flow:
    targets, head, *steps = _children(rule)
    return tree.Flow(targets, head, tuple(steps), _span(rule))


def _call(rule: Rule) -> tree.Call:
    name, arguments, alias = _children(rule)
    return tree.Call(_name(name), arguments, alias and _name(alias), True, _span(rule))


def _bare(rule: Rule) -> tree.Call:
    name, alias = _children(rule)
    return tree.Call(_name(name), (), alias and _name(alias), False, _span(rule))


def _tap(rule: Rule) -> tree.Tap:
    (name,) = _children(rule)
    return tree.Tap(_name(name), _span(rule))


def _keyword(rule: Rule) -> tree.Argument:
    name, fixed, value = _children(rule)
    return tree.Argument(_name(name), fixed is not None, value, _span(rule))


def _positional(rule: Rule) -> tree.Argument:
    (value,) = _children(rule)
    return tree.Argument(None, False, value, _span(rule))


# ---- files -------------------------------------------------------------------------------------------------


def _import(rule: Rule) -> tree.Import:
    origin, names = _children(rule)
    return tree.Import(_string(origin) if origin.type == "STRING" else _name(origin), names, _span(rule))


def _signature(rule: Rule) -> tuple[tree.Name, tuple[tree.Port, ...], tuple[tree.Port, ...]]:
    name, inputs, outputs = _children(rule)
    return _name(name), inputs, outputs


def _declaration(rule: Rule) -> tree.Declaration:
    signature, *items = _children(rule)
    name, inputs, outputs = signature
    return tree.Declaration(_one_of(rule.data), name, inputs, outputs, tuple(items), None, _span(rule))


def _file(rule: Rule) -> tree.File:
    nodes = _children(rule)
    imports = tuple(node for node in nodes if isinstance(node, tree.Import))
    declarations = tuple(node for node in nodes if isinstance(node, tree.Declaration))
    return tree.File(imports, declarations, (), _span(rule))


_BUILDERS: dict[str, Callable[[Rule], Any]] = {
    "start": _file,
    "import_": _import,
    "declaration": _documented,
    "stage": _declaration,
    "pipeline": _declaration,
    "signature": _signature,
    "ports": _present,
    "port": _port,
    "single": _single,
    "several": _present,
    "type": _type,
    "doc": _doc,
    "documented": _documented,
    "observed": _documented,
    "slider": _slider,
    "register": _register,
    "place": _place,
    "shape": _shape,
    "choice": _choice,
    "toggle": _toggle,
    "curve": _table,
    "lut": _table,
    "matrix": _table,
    "range": _range,
    "meta": _meta,
    "needs": _needs,
    "stat": _stat,
    "program": _program,
    "proxy": _proxy,
    "executor": _executor,
    "predictor": _predictor,
    "property": _property,
    "inside": _inside,
    "condition": _present,
    "comparison": _comparison,
    "flow": _flow,
    "targets": _names,
    "call": _call,
    "bare": _bare,
    "tap": _tap,
    "arguments": _present,
    "keyword": _keyword,
    "positional": _positional,
    "list": _list,
    "names": _names,
    "name": _leaf(_name),
    "number": _leaf(_number),
    "string": _leaf(_string),
}

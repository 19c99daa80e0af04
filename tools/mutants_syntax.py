# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mutants of a module: copies of its syntax tree that differ in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
import copy
from dataclasses import dataclass
from typing import Any

_COMPARED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """
    One change of a module.

    :param index: of the mutant in its module
    :param lines: first and last line of the statement that differs; of a compound one, its head
    :param function: name of the function or class around it; empty: the module
    :param at_import: whether the changed code runs when the module is imported
    :param before: source of the changed expression or statement
    :param after: source of what replaces it
    """

    index: int
    lines: tuple[int, int]
    function: str
    at_import: bool
    before: str
    after: str


def find_mutants(source: str) -> list[Mutant]:
    """Return all mutants of a module."""
    return [_describe(index, *place) for index, place in enumerate(_places(ast.parse(source)))]


def mutate(source: str, index: int) -> ast.Module:
    """Return the syntax tree of one mutant."""
    tree = ast.parse(source)
    for i, (_, _, _, owner, field, position, new) in enumerate(_places(tree)):
        if i == index:
            if position is None:
                setattr(owner, field, new)
            else:
                getattr(owner, field)[position] = new
            return ast.fix_missing_locations(tree)
    raise IndexError(f'mutant {index} of {i + 1}')


def _describe(
    index: int,
    statement: ast.stmt,
    function: str,
    at_import: bool,
    owner: ast.AST,
    field: str,
    position: int | None,
    new: Any,
) -> Mutant:
    old = getattr(owner, field)
    old = old if position is None else old[position]
    body = getattr(statement, 'body', None)
    # Of a compound statement, only its head.
    last = max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno
    first = getattr(old, 'lineno', statement.lineno) if not body else statement.lineno
    before, after = (ast.unparse(each) for each in (old, new))
    return Mutant(index, (first, last), function, at_import, before, after)


def _places(tree: ast.Module) -> Iterator[tuple]:
    """Yield statement, function, at_import, owner, field, position, new node of each mutant."""
    yield from _in_body(tree, '', True)


def _in_body(scope: ast.AST, name: str, at_import: bool) -> Iterator[tuple]:
    for field in ('body', 'orelse', 'finalbody'):
        statements = getattr(scope, field, None)
        for position, statement in enumerate(statements if isinstance(statements, list) else ()):
            yield from _in_statement(scope, field, position, statement, name, at_import)
    for handler in getattr(scope, 'handlers', ()):
        yield from _in_body(handler, name, at_import)


def _in_statement(
    scope: ast.AST, field: str, position: int, statement: ast.stmt, name: str, at_import: bool
) -> Iterator[tuple]:
    """Yield the mutants of a statement, and of those in it."""
    if isinstance(statement, ast.Raise | ast.Import | ast.ImportFrom | ast.Assert | ast.Pass):
        return  # what an error says is no behaviour
    where = (statement, name, at_import)
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = statement.args
        for list_name in ('defaults', 'kw_defaults'):
            for i, default in enumerate(getattr(arguments, list_name)):
                for changed in _changed(default):
                    yield (*where, arguments, list_name, i, changed)
        inner = f'{name}.{statement.name}' if name else statement.name
        yield from _in_body(statement, inner, False)
        return
    if isinstance(statement, ast.ClassDef):
        inner = f'{name}.{statement.name}' if name else statement.name
        yield from _in_body(statement, inner, True)
        return
    if isinstance(statement, ast.If) and _is_type_checking(statement.test):
        return
    if isinstance(statement, ast.Expr):
        if isinstance(statement.value, ast.Constant):  # a docstring
            return
        if isinstance(statement.value, ast.Call) and not at_import:
            yield (*where, scope, field, position, ast.Pass())
    if isinstance(statement, ast.AugAssign) and type(statement.op) in _COMPUTED:
        changed = copy.copy(statement)
        changed.op = _COMPUTED[type(statement.op)]()
        yield (*where, scope, field, position, changed)
    if isinstance(statement, ast.If | ast.While):
        yield (*where, statement, 'test', None, ast.UnaryOp(ast.Not(), statement.test))
    returned = isinstance(statement, ast.Return) and statement.value
    if returned and not _is_none(returned):
        yield (*where, statement, 'value', None, ast.Constant(None))
    yield from _in_expressions(statement, where)
    yield from _in_body(statement, name, at_import)


def _in_expressions(node: ast.AST, where: tuple) -> Iterator[tuple]:
    """Yield the mutants of the expressions of a node, without those of statements in it."""
    for field, value in ast.iter_fields(node):
        if field in ('annotation', 'type_comment', 'format_spec', 'type_params'):
            continue
        many = isinstance(value, list)
        for i, child in enumerate(value if many else [value]):
            if not isinstance(child, ast.AST) or isinstance(child, ast.stmt | ast.ExceptHandler):
                continue
            if isinstance(child, ast.JoinedStr):
                continue
            position = i if many else None
            for changed in _changed(child):
                yield (*where, node, field, position, changed)
            yield from _in_expressions(child, where)


def _changed(node: ast.AST | None) -> Iterator[ast.AST]:
    """Yield what replaces an expression."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            for other in _COMPARED[type(operator)]:
                operators = [*node.ops]
                operators[i] = other()
                yield ast.Compare(node.left, operators, node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        if not any(_is_text(side) for side in (node.left, node.right)):
            yield ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp):
        if not isinstance(node.op, ast.UAdd):
            yield node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Call):
        for i in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield ast.Constant(node.value + 1)
        elif isinstance(node.value, float):
            yield ast.Constant(1.5 * node.value if node.value else 1.0)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == 'TYPE_CHECKING'


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None

"""Checks of module code: attributes, signals and calls on objects whose class is known."""

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from host import api
from host.contract import signatures
from host.contract.types import Known, attribute, returned
from host.contract.violation import Violation

SIGNATURE = re.compile(r"\w+\([\w:,*<>& ]*\)")
FORBIDDEN = ("PySide6", "PySide2", "PyQt5", "PyQt6", "PythonQt")
BYTES = Known("object", "QByteArray")
BASES = ("QWidget", "QObject", "QLayout")


def checkCode(path: Path, widgets: Mapping[str, str | None]) -> list[Violation]:
    """Every violation in one module file; `widgets` maps names given by childWidgetVariables() to classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    checker = _Checker(path, widgets)
    for _ in range(3):  # what an attribute is may depend on another one that is assigned further down
        checker.violations.clear()
        checker.visit(tree)
    return sorted(set(checker.violations), key=lambda v: (v.line, v.text))


@functools.cache
def _allSignals() -> frozenset[str]:
    return frozenset(signature for name in api.classNames() for signature in api.signals(name))


class _Checker(ast.NodeVisitor):
    def __init__(self, path: Path, widgets: Mapping[str, str | None]):
        self.path, self.widgets = path, widgets
        self.violations: list[Violation] = []
        self.scopes: list[dict[str, Known | None]] = [{}]
        self.attributes: dict[str, dict[str, Known | None]] = {}  # class -> what self.x is
        self.results: dict[str, Known | None] = {}  # own function -> what it returns
        self.classes: list[ast.ClassDef] = []
        self.functions: list[str] = []

    def complain(self, node: ast.AST, text: str) -> None:
        self.violations.append(Violation(self.path, getattr(node, "lineno", 0), text))

    # Names

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._forbid(node, alias.name)
            if alias.name.split(".")[0] in ("qt", "ctk", "slicer", "sitkUtils"):
                name = alias.name if alias.asname else alias.name.split(".")[0]
                self.scopes[-1][alias.asname or name] = Known("module", name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        self._forbid(node, module)
        for alias in node.names:
            name = alias.asname or alias.name
            if module in ("qt", "ctk"):
                found, said = attribute(Known("module", module), alias.name)
                self.scopes[-1][name] = found
                if said:
                    self.complain(node, said)
            elif signatures.isModule(module) and alias.name != "*":
                self.scopes[-1][name] = self._ofPython(node, module, alias.name)
            elif module == "slicer":
                self.scopes[-1][name] = self._ofSlicer(node, alias.name)

    def _forbid(self, node: ast.AST, module: str) -> None:
        if module.split(".")[0] in FORBIDDEN:
            self.complain(node, f"{module} does not exist in Slicer; import qt")

    def _ofPython(self, node: ast.AST, module: str, name: str) -> Known | None:
        if signatures.hasClass(module, name):
            return Known("pythonclass", module, name)
        if signatures.function(module, name) is not None:
            return Known("python", module, name)
        if not name.isupper() and not name.startswith("_"):  # constants are not on record
            self.complain(node, f"{module} has no {name}")
        return None

    def _ofSlicer(self, node: ast.AST, name: str) -> Known | None:
        if name == "app":
            return Known("object", "qSlicerApplication")
        if signatures.isModule(f"slicer.{name}"):
            return Known("module", f"slicer.{name}")
        if name in api.classNames("slicer"):
            return Known("class", name)
        if re.match(r"(qMRML|qSlicer|ctk)[A-Z]", name) and name not in ("qMRMLUtils",):
            self.complain(node, f"slicer has no {name}")
        return None

    def _lookup(self, name: str) -> Known | None:
        if name == "ui":
            return Known("ui")
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return None

    # What an expression is

    def known(self, node: ast.AST | None) -> Known | None:
        if isinstance(node, ast.Name):
            return self._lookup(node.id)
        if isinstance(node, ast.Attribute):
            return self._knownAttribute(node)
        if isinstance(node, ast.Call):
            return self._knownCall(node)
        if isinstance(node, ast.NamedExpr):
            return self.known(node.value)
        return None

    def _knownAttribute(self, node: ast.Attribute) -> Known | None:
        if node.attr == "ui":
            return Known("ui")
        if isinstance(node.value, ast.Name) and node.value.id == "self" and self.classes:
            return self.attributes.get(self.classes[-1].name, {}).get(node.attr)
        base = self.known(node.value)
        if base is None:
            return None
        if base.kind == "ui":
            if node.attr not in self.widgets:
                self.complain(node, f"no .ui file has an object called {node.attr}")
            className = self.widgets.get(node.attr)
            return Known("object", className) if className and api.knows(className) else None
        if base == Known("module", "slicer"):
            return self._ofSlicer(node, node.attr)
        if base.kind == "module" and signatures.isModule(base.name):
            return self._ofPython(node, base.name, node.attr)
        if base.kind == "pythonclass":
            return Known("pythonmethod", f"{base.name}:{base.member}", node.attr)
        if base.kind == "signal" and node.attr == "connect" and _isOverloaded(base):
            self.complain(
                node, f"the signal {base.name}.{base.member} is overloaded: connect it by its full signature"
            )
        found, said = attribute(base, node.attr)
        if said:
            self.complain(node, said)
        return found

    def _knownCall(self, node: ast.Call) -> Known | None:
        called = self.known(node.func)
        if called is None:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            return self.results.get(name)
        if called.kind == "class":
            return Known("object", called.name)
        if called.kind in ("method", "function"):
            return returned(called.name, called.member)
        if called == Known("python", "slicer.util", "mainWindow"):
            return Known("object", "qSlicerMainWindow")
        if called == Known("python", "slicer.util", "loadUI"):
            return Known("object", "qMRMLWidget")
        if called == Known("python", "slicer.util", "childWidgetVariables"):
            return Known("ui")
        return None

    # Scopes

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.classes.append(node)
        mine = self.attributes.setdefault(node.name, {})
        if self._derivesFrom("ScriptedLoadableModuleWidget"):
            mine.setdefault("layout", Known("object", "QVBoxLayout"))
        self.generic_visit(node)
        self.classes.pop()

    def _derivesFrom(self, name: str) -> bool:
        bases = self.classes[-1].bases if self.classes else []
        return any(ast.unparse(base).split(".")[-1] == name for base in bases)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.visitFunction(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visitFunction(node)

    def visitFunction(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        scope: dict[str, Known | None] = {}
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        for argument in arguments:
            scope[argument.arg] = self._annotated(argument.annotation)
        if node.name == "__init__" and "parent" in scope and self._derivesFrom("ScriptedLoadableModule"):
            scope["parent"] = Known("object", "qSlicerScriptedLoadableModule")
        self.scopes.append(scope)
        self.functions.append(node.name)
        if (annotated := self._annotated(node.returns)) is not None:
            self.results[node.name] = annotated
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self.functions.pop()
        self.scopes.pop()

    def _annotated(self, node: ast.AST | None) -> Known | None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._annotated(node.left)
        if isinstance(node, ast.Attribute | ast.Name):
            found = self.known(node)
            return Known("object", found.name) if found and found.kind == "class" else None
        return None

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.scopes.append(
            {a.arg: None for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        )
        self.generic_visit(node)
        self.scopes.pop()

    def _loop(self, target: ast.AST) -> None:
        for name in ast.walk(target):
            if isinstance(name, ast.Name):
                self.scopes[-1][name.id] = None

    def visit_For(self, node: ast.For) -> None:
        self._loop(node.target)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.generic_visit(node)

    def visitComprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self.scopes.append({})
        for part in node.generators:
            self._loop(part.target)
        self.generic_visit(node)
        self.scopes.pop()

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = visitComprehension

    # Uses

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            self.known(node)
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        found = self.known(node.value)
        if found is not None and found.kind == "object" and self.functions:
            self.results.setdefault(self.functions[-1], found)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        value = self.known(node.value)
        for target in node.targets:
            self._assign(target, value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._assign(node.target, self._annotated(node.annotation) or self.known(node.value))
        if node.value is not None:
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._assign(node.target, None)
        self.generic_visit(node)

    def _assign(self, target: ast.AST, value: Known | None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self._assign(part, None)
        elif isinstance(target, ast.Name):
            self.scopes[-1][target.id] = value
        elif isinstance(target, ast.Attribute):
            if isinstance(target.value, ast.Name) and target.value.id == "self" and self.classes:
                self._assignSelf(target, value)
                return
            base = self.known(target.value)
            if base is not None and base.kind == "object":
                fact = api.properties(base.name).get(target.attr)
                if fact is None and target.attr != "name":
                    self.complain(target, f"{base.name} has no property {target.attr} to assign")
                elif fact is not None and not fact.writable:
                    self.complain(target, f"{base.name}.{target.attr} is read-only")

    def _assignSelf(self, target: ast.Attribute, value: Known | None) -> None:
        mine = self.attributes.setdefault(self.classes[-1].name, {})
        if value is None:
            return  # None before the object is made, or something unknown
        before = mine.get(target.attr)
        mine[target.attr] = value if before in (None, value) else None

    def visit_Compare(self, node: ast.Compare) -> None:
        for operator, right in zip(node.ops, node.comparators, strict=True):
            for side in (node.left, right):
                found = self.known(side)
                if isinstance(operator, ast.Is | ast.IsNot) and found is not None and found.kind == "enum":
                    self.complain(node, f"{ast.unparse(side)}: compare enumerations with ==, never with is")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = self.known(node.func)
        if called is not None:
            for said in self._callProblems(called, node):
                self.complain(node, said)
        self._signalLiterals(node, called)
        builtin = getattr(node.func, "id", "")
        if builtin == "isinstance" and len(node.args) == 2:
            self._isinstance(node)
        if builtin in ("bytes", "str", "len") and node.args and self.known(node.args[0]) == BYTES:
            self.complain(node, f"{builtin}() of a QByteArray: use data(), which gives bytes")
        self.generic_visit(node)

    def _callProblems(self, called: Known, node: ast.Call) -> Iterator[str]:
        shown = f"{called.name}.{called.member}" if called.member else called.name
        if called.kind == "property" or (called.kind == "object" and called.member == "property"):
            yield f"{ast.unparse(node.func)} is a property, calling it raises TypeError"
        if called.kind in ("class", "method", "function") and node.keywords:
            yield f"{shown}() takes no keyword arguments"
        if called.kind == "python":
            found = signatures.function(called.name, called.member)
            yield from signatures.problems(shown, found, node) if found else ()
        if called.kind == "pythonclass":
            found = signatures.method(called.name, called.member, "__init__")
            yield from signatures.problems(shown, found, node) if found else ()
        if called.kind == "pythonmethod":
            module, className = called.name.split(":")
            found = signatures.method(module, className, called.member)
            if found is not None:
                yield from signatures.problems(f"{className}.{called.member}", found, node, skip=1)

    def _signalLiterals(self, node: ast.Call, called: Known | None) -> None:
        isConnect = getattr(node.func, "attr", "") in ("connect", "disconnect")
        previous = self.known(node.func.value) if isinstance(node.func, ast.Attribute) else None
        for index, argument in enumerate(node.args):
            isLiteral = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            # A helper such as self.on(button, "clicked(bool)", f) is followed too.
            sender = (
                previous if index == 0 and isConnect else self.known(node.args[index - 1]) if index else None
            )
            if isLiteral and SIGNATURE.fullmatch(argument.value) and index < 2:
                if sender is not None and sender.kind == "object":
                    self._signal(argument, sender.name, argument.value)
                    self._arity(node, index, argument.value)
                elif isConnect and index == 0 and api.normalized(argument.value) not in _allSignals():
                    self.complain(argument, f"no class has the signal {argument.value}")
            elif isLiteral and isConnect and index == 0 and sender is not None and sender.kind == "object":
                self.complain(argument, f"{argument.value!r} is no signal signature; write it as name(types)")

    def _signal(self, node: ast.AST, className: str, signature: str) -> None:
        if api.normalized(signature) not in api.signals(className):
            others = api.signalsNamed(className, signature.split("(")[0])
            hint = f"; there is {', '.join(others)}" if others else ""
            self.complain(node, f"{className} has no signal {signature}{hint}")
        elif not _inQt6(className, api.normalized(signature)):
            self.complain(node, f"the signal {className}.{signature} exists with Qt 5, but not with Qt 6")

    def _arity(self, node: ast.Call, index: int, signature: str) -> None:
        slot = node.args[index + 1] if len(node.args) > index + 1 else None
        if isinstance(slot, ast.Lambda):
            required = len(slot.args.args) - len(slot.args.defaults)
            sent = len(api.parts(api.normalized(signature))[1])
            if required > sent:
                self.complain(slot, f"the slot wants {required} arguments, {signature} sends {sent}")

    def _isinstance(self, node: ast.Call) -> None:
        kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
        for kind in kinds:
            found = self.known(kind)
            if found is not None and found.kind == "class" and found.name in BASES:
                said = (
                    f'isinstance is false for classes derived from {found.name}; use inherits("{found.name}")'
                )
                self.complain(node, said)


def _isOverloaded(signal: Known) -> bool:
    """Whether `object.signal.connect` misses something: PythonQt takes the first overload."""
    overloads = [api.parts(signature)[1] for signature in api.signalsNamed(signal.name, signal.member)]
    return any(overloads[0][: len(other)] != other for other in overloads)


def _inQt6(className: str, signature: str) -> bool:
    cls = api.pysideClass(className)
    meta = getattr(cls, "staticMetaObject", None)
    return meta is None or meta.indexOfSignal(signature) >= 0

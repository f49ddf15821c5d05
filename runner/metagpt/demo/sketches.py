"""What the files of a program hold, and two pictures of it for mermaid: a class diagram and a call flow."""

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Function:
    """A function or method. returns: the name of its type, without parameters, or an empty string for None."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    returns: str

    @property
    def signature(self) -> str:
        typed = ", ".join(f"{name}: {kind}" if kind else name for name, kind in self.arguments)
        return f"{self.name}({typed})"


@dataclass(frozen=True)
class Class:
    """A class. attributes: name and type of each, its properties included."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    methods: tuple[Function, ...]

    @property
    def calls(self) -> list[Function]:
        """The methods that others call once it is made."""
        return [method for method in self.methods if method.name != "__init__"]


@dataclass(frozen=True)
class Module:
    """What a file of Python holds. imports: the names taken from other files of the program, by file."""

    filename: str
    classes: tuple[Class, ...]
    functions: tuple[Function, ...]
    imports: dict[str, tuple[str, ...]]

    @property
    def label(self) -> str:
        """A name for the functions of the module, in a diagram: no class has it."""
        return label(self.filename)


def label(filename: str) -> str:
    words = Path(filename).stem.split("_")
    return "".join(word.capitalize() for word in words) + ("" if filename == "main.py" else "Functions")


def _kind(annotation: ast.expr | None) -> str:
    """The bare name of a type: "list" for list[str], "Path" for Path | None. Diagrams cannot hold more."""
    match annotation:
        case ast.Name(id=name):
            return name
        case ast.Subscript(value=value):
            return _kind(value)
        case ast.BinOp(left=left):
            return _kind(left)
        case ast.Attribute(attr=name):
            return name
    return ""


def _function(node: ast.FunctionDef) -> Function:
    arguments = [(arg.arg, _kind(arg.annotation)) for arg in node.args.args + node.args.kwonlyargs if arg.arg != "self"]
    return Function(node.name, tuple(arguments), _kind(node.returns))


def _class(node: ast.ClassDef) -> Class:
    functions = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    properties = [item for item in functions if any(_kind(by) == "property" for by in item.decorator_list)]
    methods = [item for item in functions if item not in properties]
    attributes = {
        target.id: _kind(item.annotation)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(target := item.target, ast.Name)
    }
    for init in (method for method in methods if method.name == "__init__"):
        arguments = dict(_function(init).arguments)
        for item in ast.walk(init):
            match item:
                case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=annotation):
                    attributes.setdefault(name, _kind(annotation))
                case ast.Assign(targets=[ast.Attribute(attr=name)]):
                    attributes.setdefault(name, arguments.get(name, ""))
    attributes |= {item.name: _kind(item.returns) for item in properties}
    shown = [method for method in methods if not method.name.startswith("_") or method.name == "__init__"]
    return Class(node.name, tuple(attributes.items()), tuple(map(_function, shown)))


def module(filename: str, code: str, siblings: list[str]) -> Module:
    """Read one file. siblings: the names of all files of the program."""
    tree = ast.parse(code)
    imports = {
        f"{node.module}.py": tuple(alias.name for alias in node.names)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and f"{node.module}.py" in siblings
    }
    return Module(
        filename,
        tuple(_class(node) for node in tree.body if isinstance(node, ast.ClassDef)),
        tuple(_function(node) for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"),
        imports,
    )


def modules(sources: dict[str, str]) -> list[Module]:
    return [module(filename, code, list(sources)) for filename, code in sources.items()]


def class_diagram(program: list[Module]) -> str:
    """A mermaid classDiagram; the functions of a module stand in a box of their own."""
    lines = ["classDiagram"]
    for part in program:
        for cls in part.classes:
            attributes = [f"{kind} {name}".strip() for name, kind in cls.attributes]
            lines += _box(cls.name, [*attributes, *(f"{call.signature} {call.returns}" for call in cls.methods)])
        if part.functions:
            signatures = [f"{call.signature} {call.returns}" for call in part.functions]
            lines += _box(part.label, signatures, note="<<module>>")
    classes = {cls.name for part in program for cls in part.classes}
    functions = {call.name: part.label for part in program for call in part.functions}
    for part in program:
        taken = [name for names in part.imports.values() for name in names]
        used = [name if name in classes else functions[name] for name in taken if name in classes | functions.keys()]
        lines += [f"    {part.label} --> {name} : uses" for name in dict.fromkeys(used)]
    return "\n".join(lines)


def _box(name: str, members: list[str], *, note: str = "") -> list[str]:
    inside = [f"        {note}"] if note else []
    inside += [f"        +{member.rstrip()}" for member in members]
    return [f"    class {name} {{", *inside, "    }"] if inside else [f"    class {name}"]


def call_flow(program: list[Module]) -> str:
    """A mermaid sequenceDiagram from the person's first line to the end of the program."""
    core, main = program[0], program[-1]
    subject = next((cls for cls in reversed(core.classes) if cls.calls), None)
    name = subject.name if subject else core.label
    lines = ["sequenceDiagram", "    actor Person", f"    participant {main.label}", f"    participant {name}"]
    lines.append(f"    Person->>{main.label}: python main.py")
    if subject:
        made = next((method.signature for method in subject.methods if method.name == "__init__"), "__init__()")
        lines.append(f"    {main.label}->>{name}: {name}{made.removeprefix('__init__')}")
    lines += ["    loop until the person is done", f"        Person->>{main.label}: a line of input"]
    for call in subject.calls if subject else core.functions:
        lines.append(f"        {main.label}->>{name}: {call.signature}")
        lines.append(f"        {name}-->>{main.label}: {call.returns or 'done'}")
    return "\n".join([*lines, f"        {main.label}-->>Person: what came of it", "    end"])

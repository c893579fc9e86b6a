"""Fields that a type has because its methods assign to them."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.types import Definition, Visibility


def fields(language: str, text: str) -> list[Definition]:
    found = analyse(text.encode(), language).definitions
    return [one for one in found if one.kind in ("field", "property")]


CASES = [
    ("python", "class C:\n def __init__(self):\n  self.a = 1\n  self.b: int = 2\n  self.c: int\n",
     "C.a 3:8, C.b 4:8, C.c 5:8"),
    ("python", "class C:\n def f(self):\n  self.a, (self.b, *self.c) = x\n", "C.a 3:8, C.b 3:17, C.c 3:26"),
    ("python", "class C:\n def f(self):\n  with g() as self.a: pass\n  for self.b in x: pass\n", "C.a 3:20, C.b 4:12"),
    ("python", "class C:\n @classmethod\n def f(cls):\n  cls.a = x = cls.b = 1\n", "C.a 4:7, C.b 4:19"),
    ("python", "class C:\n class D:\n  def f(self): self.a = 1\n def f(self): self.a = 1\n", "C.D.a 3:21, C.a 4:20"),
    ("python", "class C:\n def f(self):\n  self.größe = 1\n", "C.größe 3:8"),
    ("ruby", "class C\n def f\n  @a = 1\n  @b ||= 2\n  @c, @d = 3\n  @@e = 4\n end\nend\n",
     "C.a 3:4, C.b 4:4, C.c 5:4, C.d 5:8, C.e 6:5"),
    ("ruby", "module M\n @a = 1\nend\n", "M.a 2:3"),
    ("ruby", "class C\n def f\n  (@a, (@b, *@c)), @d = x\n  for @e, @f in y do end\n end\nend\n",
     "C.a 3:5, C.b 3:10, C.c 3:15, C.d 3:21, C.e 4:8, C.f 4:12"),
    ("ruby", "class M::C\n def f = @a = 1\nend\nmodule M\n class C\n  def initialize = @a = @b = 1\n end\nend\n",
     "M.C.a 6:21, M.C.b 6:26"),
    ("javascript", "class C {\n constructor() { this.a = this.b = 1; [this.c] = x }\n}",
     "C.a 2:23, C.b 2:32, C.c 2:45"),
    ("javascript", "class C {\n f = () => { this.a = 1 }\n}", "C.a 2:19"),
    ("javascript", "function View(x) {\n this.a = x\n}\nView.prototype.f = function f() { this.b = 1 }\n",
     "View.a 2:7, View.b 4:40"),
    ("javascript", "class C { f() {\n ({ a: this.a, b: [this.b = this.x], ...this.c } = o);\n [...this.d] = p } }",
     "C.a 2:13, C.b 2:25, C.c 2:46, C.d 3:11"),
    ("javascript", "class C { f() {\n for (this.a of x) for (this.b in y) this.c ||= 1 } }",
     "C.a 2:12, C.b 2:30, C.c 2:43"),
    ("javascript", "function C() {}\nC.prototype = {\n f() { this.a = 1 }, g: function () { this.b = this.a = 2 }\n}\n",
     "C.a 3:13, C.b 3:44"),
    ("javascript", "class C {\n constructor() { this.a = 1 }\n}\nC.prototype.f = function () { this.a = this.b = 2 }\n",
     "C.a 2:23, C.b 4:45"),
    ("javascript", "Object.assign(C.prototype, { f() { this.a = 1 } })\nfunction C() { this.a = 2 }\n", "C.a 2:21"),
    ("typescript", "class C {\n f() {\n  ({ a: this.a!, b: this.b } = o)\n }\n}", "C.a 3:14, C.b 3:26"),
    ("typescript", "class C {\n constructor(private a: number, readonly b = 1, c) { this.d = c }\n}",
     "C.a 2:22, C.b 2:42, C.d 2:59"),
    ("php", "<?php class C {\n function __construct(private int $a, $b) { $this->b = $b; [$this->c] = x(); }\n}",
     "C.a 2:36, C.b 2:52, C.c 2:68"),
    ("php", "<?php class C { function f($x) {\nforeach ($x as $this->a);\nforeach ($x as $this->b => [$this->c]); } }",
     "C.a 2:23, C.b 3:23, C.c 3:36"),
    ("php", "<?php class C { function f($x) {\n[$this->a, [1 => $this->b, 2 => &$this->c]] = $x; } }",
     "C.a 2:9, C.b 2:25, C.c 2:41"),
    ("lua", "M = {\n f = function(s) self.a = 1 end, n = { g = function() self.b = 2 end }\n}\nM.h = { self = 1 }",
     "M.a 2:23, M.n.b 2:60, M.h 4:3"),
    ("lua", "function M.new()\n local self = {}\n self.a, self.b = 1, 2\nend\nfunction M:f() self.c = 3 end\n",
     "M.a 3:7, M.b 3:15, M.c 5:21"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_a_field_is_where_its_type_assigns_to_it(language: str, text: str, expected: str) -> None:
    assert ", ".join(f"{one.qualified} {one.line}:{one.column}" for one in fields(language, text)) == expected


OTHERS = [
    ("python", "class C:\n def f(self):\n  self.a += 1\n  self.b.c = self.d[0] = self.e\n  f(self.g, h=self.i)\n"),
    ("python", "class C:\n def f(self):\n  if self.a == 1: x = {self.b: self.c}\n  '''self.d = 1'''  # self.e = 1\n"),
    ("python", "def f(self):\n self.a = 1\nself.b = 1\n"),
    ("python", "class C:\n def f(self, other):\n  other.a = myself.b = other.self.c = 1\n"),
    ("ruby", "@a = 1\nclass C\n def f\n  @b += @c\n  @d == 1\n end\nend\n"),
    ("javascript", "class C { f() { x(function () { this.a = 1 }); this.b == 1; this.c.d = 1 } }\nthis.e = 1"),
    (
        "javascript",
        "class C { f() { ({ [this.a]: x, y: z = this.b } = this.c); [x = this.d] = `${this.e}`; g({ a: this.f }) } }",
    ),
    ("javascript", "class C { f() { for (const x of this.a) {}; this.b in c } }"),
    ("ruby", "class C\n def f; for x in @a do end; end\nend\n"),
    (
        "php",
        "<?php class C { function f() { foreach ($this->a as $x) {} [$this->b => $x] = [$this->c => 1, &$this->d]; } }",
    ),
    ("javascript", "const x = { f() { this.a = 1 } }; function plain() { this.b = 1 }"),
    ("php", "<?php class C { function f() { $this->a[] = 1; $this->b->c = 1; g($this->d, 1); } }"),
    ("php", "<?php class C { function f($x) { $this->$x = 1; $this->{$x} = 1; } }"),
    ("lua", "local function f(self) self.a = 1 end\nfunction M:f() self.b.c = 1 end\n"),
]


@pytest.mark.parametrize(("language", "text"), OTHERS)
def test_nothing_else_makes_a_field(language: str, text: str) -> None:
    assert fields(language, text) == []


def test_the_place_in_the_constructor_is_preferred() -> None:
    (field,) = fields(
        "python", "class C:\n def f(self):\n  self.a = 1\n def __init__(self):\n  self.a = 2\n  self.a = 3\n"
    )
    assert (field.line, field.signature) == (5, "self.a = 2")


DECLARED = [
    ("python", "class C:\n a = 0\n def f(self): self.a = 1\n", "a"),
    ("python", "class C:\n @property\n def a(self): ...\n def f(self): self.a = 1\n", ""),
    ("ruby", "class C\n attr_reader :a\n def initialize; @a = 1; end\nend\n", "a"),
    ("javascript", "class C { a; b() {} constructor() { this.a = 1; this.b = 2 } }", "a"),
    ("php", "<?php class C { public $a; function f() { $this->a = 1; } }", "a"),
]


@pytest.mark.parametrize(("language", "text", "expected"), DECLARED)
def test_what_a_type_declares_is_not_found_again(language: str, text: str, expected: str) -> None:
    assert ", ".join(one.name for one in fields(language, text)) == expected


def test_a_method_of_the_same_name_is_another_member_in_ruby_and_php() -> None:
    assert [one.name for one in fields("ruby", "class C\n def a = @a ||= 1\nend\n")] == ["a"]
    assert [one.name for one in fields("php", "<?php class C { function a() { $this->a = 1; } }")] == ["a"]


def test_a_function_that_is_assigned_to_a_member_belongs_to_the_type() -> None:
    definitions = analyse(
        b"class C { constructor() { this.f = () => 1; this.o = { g: () => 1 } } }", "javascript"
    ).definitions
    assert {f"{one.kind} {one.qualified}" for one in definitions} == {
        "class C", "constructor C.constructor", "function C.f", "field C.o", "method C.o.g",
    }  # fmt: skip
    definitions = analyse(b"function M.new()\n  self.f = function() self.a = 1 end\nend\n", "lua").definitions
    assert [one.qualified for one in definitions] == ["M.new", "M.f", "M.a"]


def test_a_field_has_a_signature_documentation_and_visibility() -> None:
    text = "class C:\n def __init__(self):\n  # Seconds until it ends.\n  self._limit: float = 1.5\n"
    (field,) = fields("python", text)
    assert (field.signature, field.doc) == ("self._limit: float = 1.5", "Seconds until it ends.")
    assert field.visibility is Visibility.PRIVATE
    (field,) = fields("ruby", "class C\n def f\n  @limit = 1\n end\nend\n")
    assert field.signature == "@limit = 1"


def test_fields_have_no_part_in_chunks() -> None:
    text = "class C:\n    def __init__(self):\n        self.a = 1\n"
    (span,) = analyse(text.encode(), "python").spans
    assert [one.name for one in span.symbols] == ["C", "__init__"]

"""Members of the types that every program uses, such as lists, maps and strings, by language.

Where the type of a receiver is unknown, a member of this name is more often one of these than one of the root's.
"""

from __future__ import annotations

import builtins
import collections
import io
import pathlib
import re
from collections.abc import Mapping
from typing import Final

_PYTHON_TYPES: Final = (
    str, bytes, bytearray, int, list, tuple, dict, set, collections.deque, collections.Counter, io.IOBase,
    io.TextIOBase, pathlib.Path, re.Pattern, re.Match, BaseException,
)  # fmt: skip
_SCRIPT: Final = """
    add all allSettled any apply at bind call catch charAt charCodeAt clear close concat delete emit end
    endsWith entries every exec fill filter finally find findIndex findLast flat flatMap forEach format freeze
    from get has includes indexOf isArray join json keys lastIndexOf length map match matchAll next now off on
    once open parse pop push race read reduce reduceRight reject removeListener repeat replace replaceAll reset
    resolve return reverse search set shift size slice some sort splice split start startsWith stop stringify
    substring test text then throw toJSON toLowerCase toString toUpperCase trim unshift values valueOf write
"""
_JVM: Final = """
    accept add addAll all any append apply build clear close collect compare compareTo contains containsKey copy
    count delete endsWith entrySet equals exists filter find first flatMap fold forEach format get getName
    getOrDefault getValue getKey hasNext hashCode ifPresent indexOf insert intValue isEmpty isPresent iterator
    join keySet last length let map matches max min name next of orElse poll print println pop push put putAll
    read reduce remove replace reversed run set size sort sorted split startsWith stream sub substring test
    toArray toList toString trim update value valueOf values write
"""
_RUST: Final = """
    all and_then any as_bytes as_mut as_ref as_str await borrow chain clear clone cloned cmp collect contains
    contains_key copied count drain drop end entry enumerate eq err expect extend filter filter_map find first
    flat_map flush fmt fold for_each from get get_mut hash insert into into_inner into_iter is_empty is_err
    is_none is_ok is_some iter iter_mut join keys last len load lock map map_err max min new next ok ok_or
    or_else parse poll pop push push_str read recv remove replace resize rev send set skip sort split start_with
    starts_with store sum swap take to_owned to_string to_vec trim try_into unwrap unwrap_or unwrap_or_default
    unwrap_or_else update values wait with write zip
"""
_CPP: Final = """
    append at back begin c_str capacity clear close count data emplace emplace_back empty end erase find first
    front get insert length lock open pop pop_back push push_back read release reserve reset resize second size
    str substr swap top unlock value write
"""
_CSHARP: Final = """
    Add AddRange Any Append Clear Close Concat Contains ContainsKey Copy CopyTo Count Dispose EndsWith Equals
    First FirstOrDefault Flush Format Get GetEnumerator GetHashCode GetType IndexOf Insert Invoke Join Key Last
    Length MoveNext Name Parse Pop Push Read Remove Replace Reset Select Set Sort Split StartsWith Substring
    ToArray ToList ToString Trim TryGetValue Type Value Values Where Write
"""
_RUBY: Final = """
    all? any? append call chomp class clear close collect compact concat count delete detect dig downcase dup
    each each_with_index empty? end_with? fetch find first flatten freeze get gsub include? index inspect
    instance_of? is_a? join key? keys last length map match max merge method min new nil? open pop push put puts
    read reject replace respond_to? reverse select send set shift size slice sort split start_with? strip sub
    sum tap to_a to_h to_i to_s to_sym upcase uniq update values write zip
"""
_SWIFT: Final = """
    append contains count dropFirst filter first flatMap forEach hash index insert isEmpty joined keys last map
    max min reduce remove removeAll reversed sort sorted split start stop value values
"""

COMMON_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "python": frozenset(name for one in _PYTHON_TYPES for name in dir(one)),
    "javascript": frozenset(_SCRIPT.split()),
    "java": frozenset(_JVM.split()),
    "rust": frozenset(_RUST.split()),
    "c": frozenset(_CPP.split()),
    "csharp": frozenset(_CSHARP.split()),
    "ruby": frozenset(_RUBY.split()),
    "swift": frozenset(_SWIFT.split()),
}
"""The names by family of languages (``resolve.family_of``); none for others."""

_SCRIPT_OBJECTS: Final = """
    Array Atomics BigInt Boolean Buffer Date Function Intl JSON Map Math Number Object Promise Proxy Reflect RegExp
    Set String Symbol WeakMap WeakSet console document localStorage process sessionStorage window
"""
_LUA_LIBRARIES: Final = "bit bit32 coroutine debug io math os package string table utf8"

BUILT_IN: Final[Mapping[str, frozenset[str]]] = {
    "javascript": frozenset(_SCRIPT_OBJECTS.split()),
    "lua": frozenset(_LUA_LIBRARIES.split()),
}
"""The names of objects that a language or its surroundings define, by family; members of these are not the root's."""

_FUNCTIONS: Final[Mapping[str, frozenset[str]]] = {"python": frozenset(dir(builtins))}


def is_common_name(family: str, name: str) -> bool:
    """Return True if most uses of a name mean a member of a common type, or a function of the language."""
    return name in COMMON_MEMBERS.get(family, ()) or name in _FUNCTIONS.get(family, ())

"""Completion scripts for bash, zsh and fish, made from the command line's parser.

Languages and kinds are part of a script; the indexed roots are asked for by ``codeindex completions roots``, which only
reads a file.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from codeindexd.cli import command_line
from codeindexd.cli.command_line import FILES, KINDS, LANGUAGES, ROOTS, Argument, Command, Option
from codeindexd.client import start

_HEADER: Final = "# Completions of codeindex for {name}, made by `codeindex completions {name}`"


def script(shell: str) -> str:
    """Return the completion script for a shell: "bash", "zsh" or "fish"."""
    return _SCRIPTS[shell](command_line.commands(), command_line.program_options(), _names())


def roots(environ: Mapping[str, str]) -> list[str]:
    """Return the paths of all roots from the daemon's list, as far as it can be read, without asking the daemon."""
    try:
        document = json.loads(start.log_file(environ).with_name("roots.json").read_bytes())
        return sorted(str(root["path"]) for root in document["roots"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _names() -> dict[str, list[str]]:
    from codeindexd.analysis.chunking.languages import known_languages
    from codeindexd.search import query

    return {LANGUAGES: sorted(known_languages()), KINDS: sorted(query.KINDS)}


def _with_choices(values: str, choices: Sequence[str], names: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return the words to offer for a value; none for files, roots and values that cannot be known."""
    return choices or names.get(values, ())


# bash

# Works with bash 3.2, the one that macOS has: no mapfile, and compopt only where it exists.
_BASH = """\
{header}

_codeindex_words() {{
    local IFS=$' \\t\\n'
    COMPREPLY=($(compgen -W "$1" -- "$current"))
}}

_codeindex_paths() {{
    compopt -o filenames 2>/dev/null
    local path IFS=$'\\n'
    COMPREPLY=($(compgen "$1" -- "$current"))
    [[ $2 == roots ]] || return 0
    while read -r path; do
        [[ $path == "$current"* ]] && COMPREPLY+=("$path")
    done < <("${{COMP_WORDS[0]}}" completions roots 2>/dev/null)
}}

_codeindex() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    local command='' options='' with_value='' position=0 index word
    COMPREPLY=()
    if [[ $current == = ]]; then
        current=''
    elif [[ $previous == = ]]; then
        previous=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${{COMP_WORDS[index]}}
        if [[ -z $command ]]; then
            [[ $word == -* ]] && continue
            command=$word
            case $command in
{commands}
            esac
        elif [[ " $with_value " == *" $word "* ]]; then
            ((index++))
        elif [[ $word != -* ]]; then
            ((position++))
        fi
    done
    if [[ -z $command ]]; then
        _codeindex_words '{names}'
        return
    fi
    if [[ " $with_value " == *" $previous "* ]]; then
        case "$command $previous" in
{values}
        esac
        return
    fi
    if [[ $current == -* ]]; then
        _codeindex_words "$options"
        return
    fi
    case "$command $position" in
{arguments}
    esac
}}

complete -F _codeindex codeindex
"""


def _bash(commands: Sequence[Command], options: Sequence[Option], names: Mapping[str, Sequence[str]]) -> str:
    kinds, values, arguments = [], [], []
    for command in commands:
        flags = " ".join(flag for option in command.options for flag in option.flags)
        with_value = " ".join(flag for option in command.options if option.metavar for flag in option.flags)
        kinds.append(f"                {command.name}) options='{flags}' with_value='{with_value}' ;;")
        for option in command.options:
            if option.metavar and (action := _bash_action(option, names)):
                pattern = " | ".join(f"'{command.name} {flag}'" for flag in option.flags)
                values.append(f"            {pattern}) {action} ;;")
        for place, argument in enumerate(command.arguments):
            if action := _bash_action(argument, names):
                pattern = f"'{command.name} '*" if argument.is_last else f"'{command.name} {place}'"
                arguments.append(f"        {pattern}) {action} ;;")
    flags = " ".join(flag for option in options for flag in option.flags)
    return _BASH.format(
        header=_HEADER.format(name="bash"),
        commands="\n".join(kinds),
        names=f"{' '.join(command.name for command in commands)} {flags}",
        values="\n".join(values),
        arguments="\n".join(arguments),
    )


def _bash_action(parameter: Option | Argument, names: Mapping[str, Sequence[str]]) -> str:
    if words := _with_choices(parameter.values, parameter.choices, names):
        return f"_codeindex_words '{' '.join(words)}'"
    return {FILES: "_codeindex_paths -f", ROOTS: "_codeindex_paths -d roots"}.get(parameter.values, "")


# zsh

_ZSH = """\
#compdef codeindex
{header}

_codeindex_roots() {{
    local -a roots=(${{(f)"$(codeindex completions roots 2>/dev/null)"}})
    _alternative 'roots:root:compadd -a roots' 'directories:directory:_files -/'
}}

_codeindex_languages() {{
    local expl
    local -a languages=({languages})
    _wanted languages expl language compadd -a languages
}}

_codeindex_kinds() {{
    local expl
    local -a kinds=({kinds})
    _wanted kinds expl kind compadd -a kinds
}}

_codeindex() {{
    local curcontext=$curcontext state line
    typeset -A opt_args
    local -a commands=(
{names}
    )
    _arguments -C \\
{options}
        '1:command:->command' \\
        '*::argument:->argument' && return 0
    case $state in
        command) _describe -t commands command commands ;;
        argument)
            case $line[1] in
{commands}
            esac
            ;;
    esac
}}

if [[ $funcstack[1] == _codeindex ]]; then
    _codeindex "$@"
else
    compdef _codeindex codeindex
fi
"""


def _zsh(commands: Sequence[Command], options: Sequence[Option], names: Mapping[str, Sequence[str]]) -> str:
    cases = []
    for command in commands:
        specs = [*(_zsh_option(option) for option in command.options), *map(_zsh_argument, command.arguments)]
        lines = " \\\n                        ".join(specs)
        cases.append(
            f"                {command.name})\n                    _arguments -s -S \\\n                        {lines}"
        )
        cases.append("                    ;;")
    described = [f"        {shlex.quote(f'{command.name}:{command.summary}')}" for command in commands]
    return _ZSH.format(
        header=_HEADER.format(name="zsh"),
        languages=" ".join(names[LANGUAGES]),
        kinds=" ".join(names[KINDS]),
        names="\n".join(described),
        options="\n".join(f"        {_zsh_option(option)} \\" for option in options),
        commands="\n".join(cases),
    )


def _zsh_option(option: Option) -> str:
    text = _zsh_text(option.purpose)
    value = f":{_zsh_text(option.metavar)}:{_zsh_action(option)}" if option.metavar else ""
    others = "*" if option.is_repeatable else f"({' '.join(option.flags)})"
    specs = []
    for flag in option.flags:
        sign = "" if not value else "=" if flag.startswith("--") else "+"
        specs.append(shlex.quote(f"{others}{flag}{sign}[{text}]{value}"))
    return " ".join(specs)


def _zsh_argument(argument: Argument) -> str:
    sign = "*:" if argument.is_last else "::" if argument.is_optional else ":"
    return shlex.quote(f"{sign}{_zsh_text(argument.metavar)}:{_zsh_action(argument)}")


def _zsh_action(parameter: Option | Argument) -> str:
    if parameter.choices:
        return f"({' '.join(parameter.choices)})"
    functions = {FILES: "_files", ROOTS: "_codeindex_roots"}
    functions |= {LANGUAGES: "_codeindex_languages", KINDS: "_codeindex_kinds"}
    return functions.get(parameter.values, " ")


def _zsh_text(text: str) -> str:
    """Return a text for a specification of _arguments, in which brackets and colons have a meaning."""
    return "".join(f"\\{char}" if char in "[]:\\" else char for char in text)


# fish

_FISH = """\
{header}

function __codeindex_words
    # the words before the cursor that are not options, without the program's name
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; or echo $word
    end
end

function __codeindex_in
    # whether the command is $argv[1]
    set -l words (__codeindex_words)
    test "$words[1]" = $argv[1]
end

function __codeindex_at
    # whether the command is $argv[1], and $argv[2] arguments precede the cursor
    set -l words (__codeindex_words)
    test "$words[1]" = $argv[1] -a (count $words) -eq (math $argv[2] + 1)
end

complete -c codeindex -f
"""


def _fish(commands: Sequence[Command], options: Sequence[Option], names: Mapping[str, Sequence[str]]) -> str:
    lines = [_FISH.format(header=_HEADER.format(name="fish"))]
    first = "-n 'test (count (__codeindex_words)) -eq 0'"
    lines += [
        f"complete -c codeindex {first} -a {command.name} -d {_fish_text(command.summary)}" for command in commands
    ]
    lines += [f"complete -c codeindex {first} {_fish_option(option, names)}" for option in options]
    for command in commands:
        inside = f"-n '__codeindex_in {command.name}'"
        lines += [f"complete -c codeindex {inside} {_fish_option(option, names)}" for option in command.options]
        for place, argument in enumerate(command.arguments):
            if action := _fish_action(argument, names):
                where = inside if argument.is_last else f"-n '__codeindex_at {command.name} {place}'"
                if argument.is_last and place:
                    where = f"-n '__codeindex_in {command.name}; and not __codeindex_at {command.name} 0'"
                lines.append(f"complete -c codeindex {where} {action}")
    return "\n".join(lines) + "\n"


def _fish_option(option: Option, names: Mapping[str, Sequence[str]]) -> str:
    flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    if option.metavar:
        flags += ["-r", _fish_action(option, names)] if option.values in {FILES, ROOTS} else ["-x"]
        flags += [_fish_action(option, names)] if option.values not in {FILES, ROOTS} else []
    return " ".join(flag for flag in [*flags, f"-d {_fish_text(option.purpose)}"] if flag)


def _fish_action(parameter: Option | Argument, names: Mapping[str, Sequence[str]]) -> str:
    if words := _with_choices(parameter.values, parameter.choices, names):
        return f"-a {_fish_text(' '.join(words))}"
    roots = "(codeindex completions roots 2>/dev/null) (__fish_complete_directories)"
    return {FILES: "-F", ROOTS: f"-a {_fish_text(roots)}"}.get(parameter.values, "")


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_Script = Callable[[Sequence[Command], Sequence[Option], Mapping[str, Sequence[str]]], str]
_SCRIPTS: Final[Mapping[str, _Script]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}

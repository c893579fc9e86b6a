#!/usr/bin/env python3
"""Record the terminal session of the README as an animated image, or check that the committed one is still true.

python tests/documentation/session.py [--check] [--flask WHEEL]

The commands run on a real terminal, in the home of the samples (samples.py). The image is drawn from what they print;
with ``--check``, its text has to be what they print now, except for durations.
"""

from __future__ import annotations

import argparse
import fcntl
import html
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import samples

IMAGE = samples.PROJECT / "docs/images/session.svg"
COMMANDS = (
    'codeindex search --add "where is the session cookie signed" -n 1',
    "codeindex callers get_send_file_max_age",
    "sed -i 's/def finalize_request/def finish_request/' src/flask/app.py",
    "codeindex search --sync finish_request -n 1",
    "codeindex verify",
)
PROMPT = "$ "
COLUMNS = 92
CHARACTER, LINE, MARGIN, BAR = 7.8, 19, 18, 34  # pixels: of the font below, and around the text
TYPING_S, THINKING_S, READING_S, END_S = 0.035, 0.3, 1.6, 5.0  # a key, an answer, its reading, the whole screen
COLOURS = {"35": "#d291e4", "36": "#6cc7d6", "2": "#8b949e", "1;31": "#ff7b72", "32": "#7ee787", "1": "#ffffff"}
SGR = re.compile(r"\x1b\[([\d;]*)m")


@dataclass(frozen=True)
class Row:
    """A row of the screen: text with SGR sequences, and when it appears; a command is typed for ``typing_s``."""

    text: str
    at_s: float
    typing_s: float = 0.0


def main() -> int:
    """Write the image, or with ``--check`` return 1 if it is not true any more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--flask", type=Path, metavar="WHEEL", help=f"the wheel of {samples.FLASK}")
    args = parser.parse_args()
    with samples.flask_wheel(args.flask) as wheel, samples.sample_home(wheel) as home:
        printed = [on_terminal(command, home) for command in COMMANDS]
    image = draw(list(rows(printed)))
    if not args.check:
        IMAGE.write_text(image, "utf-8")
        return 0
    before, now = (samples.DURATION.sub("", words_of(text)) for text in (IMAGE.read_text("utf-8"), image))
    if before != now:
        print(f"{IMAGE.name} shows\n{before}\nbut the program prints\n{now}")
        print("to draw it again: python tests/documentation/session.py")
    return 0 if before == now else 1


def on_terminal(command: str, home: Path) -> str:
    """Run a command on a terminal in the repository; return what is left on the screen, without progress lines."""
    process, terminal = pty.fork()
    if process == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        os.chdir(home / "flask")
        environ = {**samples.environment(home), "TERM": "xterm-256color"}
        os.execvpe("bash", ["bash", "-c", command], environ)
    printed = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the end, on Linux
            data = b""
        if not data:
            break
        printed += data
    os.close(terminal)
    os.waitpid(process, 0)
    text = printed.decode().replace("\r\n", "\n").replace(str(home), samples.SHOWN_HOME)
    return re.sub(r"[^\n]*\r\x1b\[K", "", text).strip("\n")


def rows(printed: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of the screen with the time at which each appears."""
    now = 0.5
    for command, output in zip(COMMANDS, printed, strict=True):
        typing_s = TYPING_S * len(command)
        yield Row(f"\x1b[32m{PROMPT[0]}\x1b[0m{PROMPT[1:]}{command}", now, typing_s)
        now += typing_s + THINKING_S
        for line in output.splitlines():
            yield Row(line, now)
        yield Row("", now)
        now += READING_S if output else 0.2


def draw(screen: Sequence[Row]) -> str:
    """Return an image that shows the rows one after the other, again and again."""
    total_s = screen[-1].at_s + END_S
    width, height = round(COLUMNS * CHARACTER + 2 * MARGIN), BAR + LINE * len(screen) + MARGIN
    style = [
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#e6edf3;white-space:pre}",
        "@media(prefers-reduced-motion:reduce){*{animation:none!important}}",
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
        "<title>A terminal session with codeindex</title>",
        f'<clipPath id="c"><rect width="{width}" height="{height}" rx="8"/></clipPath>',
        f'<g clip-path="url(#c)"><rect width="{width}" height="{height}" fill="#0d1117"/>',
        *(
            f'<circle cx="{20 + 18 * at}" cy="17" r="5.5" fill="{colour}"/>'
            for at, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
        ),
    ]
    for number, row in enumerate(screen):
        y = BAR + LINE * number + 14
        begin, end = (100 * at_s / total_s for at_s in (row.at_s, row.at_s + row.typing_s))
        if not row.text:
            continue
        style.append(f"@keyframes r{number}{{0%,{begin:.2f}%{{opacity:0}}{begin + 0.01:.2f}%,100%{{opacity:1}}}}")
        style.append(f"#r{number}{{animation:r{number} {total_s:.1f}s infinite}}")
        parts.append(f'<g id="r{number}">{text_of(row.text, y)}</g>')
        if row.typing_s:  # a cover in the colour of the background moves out of sight
            keys = len(SGR.sub("", row.text)) - len(PROMPT)
            long = keys * CHARACTER
            style.append(
                f"@keyframes t{number}{{0%,{begin:.2f}%{{transform:translateX(-{long:.1f}px);"
                f"animation-timing-function:steps({keys})}}{end:.2f}%,100%{{transform:none}}}}"
            )
            style.append(f"#t{number}{{animation:t{number} {total_s:.1f}s infinite}}")
            parts.append(
                f'<rect id="t{number}" x="{MARGIN + len(PROMPT) * CHARACTER + long:.1f}" y="{y - 14}" '
                f'width="{long:.1f}" height="{LINE}" fill="#0d1117"/>'
            )
    parts.insert(2, f"<style>{''.join(style)}</style>")
    return "\n".join([*parts, "</g></svg>"]) + "\n"


def text_of(line: str, y: int) -> str:
    """Return a line as SVG text, in the colours of its SGR sequences."""
    spans, colour, column = [], "", 0
    for place, part in enumerate(SGR.split(line)):
        if place % 2:
            colour = COLOURS.get(part, "")
        elif part:
            fill = f' fill="{colour}" style="fill:{colour}"' if colour else ""
            length = f'textLength="{len(part) * CHARACTER:.1f}"'
            x = f'x="{MARGIN + column * CHARACTER:.1f}"'
            spans.append(
                f'<text {x} y="{y}" {length} xml:space="preserve"{fill}>{html.escape(part, quote=False)}</text>'
            )
            column += len(part)
    return "".join(spans)


def words_of(image: str) -> str:
    """Return the text of an image, a line for each row."""
    found = [re.findall(r"<text[^>]*>([^<]*)</text>", row) for row in re.findall(r'<g id="r\d+">(.*?)</g>', image)]
    return "\n".join(html.unescape("".join(parts)) for parts in found)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.support.answering [FILE]``: a helper process that does what it is asked.

Whenever nobody asks it any more, it adds a line to the file.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

from edge_agent.core.helper import answering


def answer(question: bytes) -> bytes:
    word, *words = question.decode().split(" ", 1)
    match word, words:
        case "pid", []:
            return str(os.getpid()).encode()
        case "print", [text]:
            print(text, flush=True)
            os.write(1, text.encode())
            logging.getLogger("a library").warning(text)
        case "length", [text]:
            return str(len(text)).encode()
        case "fill", [count]:
            return bytes(int(count))
        case "wait", [path]:
            Path(path).with_suffix(".begun").touch()
            while not Path(path).exists():
                time.sleep(0.01)
        case "exit", [code]:
            os._exit(int(code))
        case "stop", []:
            os.kill(os.getpid(), signal.SIGSTOP)
        case "allocate", [count]:
            return str(len(bytearray(int(count)))).encode()
        case _:
            raise ValueError(word)
    return b"done"


def note_idle() -> None:
    with Path(sys.argv[1]).open("a", encoding="ascii") as file:
        file.write("idle\n")


if __name__ == "__main__":
    answering.IDLE_S = 0.0
    when_idle = note_idle if sys.argv[1:] else None
    answering.answer_questions(answer, memory_bytes=256 << 20, nice=5, when_idle=when_idle)

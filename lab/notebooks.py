"""Runs notebooks headless and compares what they print and draw with what is committed.

    .lab/venv/bin/python lab/notebooks.py check  [--timeout=SECONDS] [FILE...]    fails on an error or a difference
    .lab/venv/bin/python lab/notebooks.py update [--timeout=SECONDS] [FILE...]    writes the new outputs into the files

Without files: all of notebooks/. Outputs are compared byte for byte, except in cells tagged "volatile", which must only run and
give the same kinds of output. The exit status is 0 if all is well, 1 if a notebook failed or differs, 2 for wrong use.
"""

import argparse
import copy
import difflib
import itertools
import json
import os
import pathlib
import sys
import time

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
LAB = CHECKOUT / ".lab"

# Only the lab's own kernel and settings, and nothing written outside the checkout; Jupyter reads these when it is imported.
os.environ.pop("JUPYTER_PATH", None)
for kind in "config", "data", "runtime":
    os.environ[f"JUPYTER_{kind.upper()}_DIR"] = str(LAB / "jupyter" / kind)
ipython = LAB / "jupyter" / "ipython"
ipython.mkdir(parents=True, exist_ok=True)  # or it warns
os.environ["IPYTHONDIR"] = str(ipython)

try:
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
except ModuleNotFoundError as missing:
    sys.exit(f"notebooks.py: {missing}: lab/setup makes .lab/venv; run this with .lab/venv/bin/python")

KERNEL = {"display_name": "Go (gonb)", "language": "go", "name": "gonb"}
PASSING_METADATA = "execution", "ExecuteTime", "scrolled", "trusted"  # of a cell: when and how it was looked at, not what it is


class Failure(Exception):
    """Why a notebook did not run to its end, in words."""


def main():
    arguments = parse()
    notebooks = arguments.files or sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
    handle = {"check": check, "update": update}[arguments.command]
    failed = 0
    for path in notebooks:
        started = time.monotonic()
        try:
            verdict, well = handle(path, arguments.timeout)
        except Failure as failure:
            verdict, well = str(failure), False
        print(f"{os.path.relpath(path)}: {verdict} ({time.monotonic() - started:.0f} s)", flush=True)
        failed += not well
    if not notebooks:
        print("There are no notebooks.")
    return 1 if failed else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "update"])
    parser.add_argument("--timeout", type=int, default=300, metavar="SECONDS", help="for one cell; 300 without")
    parser.add_argument("files", nargs="*", type=pathlib.Path, metavar="FILE")
    arguments = parser.parse_intermixed_args()
    for path in arguments.files:
        if not path.is_file():
            parser.error(f"there is no file {path}")
    return arguments


def check(path, timeout):
    committed = read(path)
    executed = run(committed, path.parent, timeout)
    differences = 0
    for number, (old, new) in enumerate(zip(committed.cells, executed.cells), start=1):
        lines = list(difference(old, new))
        if lines:
            differences += 1
            print(f"{os.path.relpath(path)}: {title(number, new)}\n" + "\n".join(lines))
    if differences:
        return f"{differences} of {len(committed.cells)} cells differ from what is committed", False
    return "as committed", True


def update(path, timeout):
    committed = read(path)
    executed = run(committed, path.parent, timeout)
    for old, new in zip(committed.cells, executed.cells):
        if new.cell_type == "code" and not is_volatile(new) and channels(old) == channels(new):
            new.outputs = old.outputs  # equal up to the order in which text and pictures happened to arrive
    changed = nbformat.writes(executed) + "\n" != path.read_text(encoding="utf-8")
    if changed:
        nbformat.write(executed, path)
    return "written" if changed else "as it was", True


def read(path):
    """Reads a notebook, with a cell id that depends on the position alone where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["nbformat"], content["nbformat_minor"]) < (4, 5):
            content["nbformat"], content["nbformat_minor"] = 4, 5
        for number, cell in enumerate(content["cells"], start=1):
            cell.setdefault("id", f"cell-{number}")
        notebook = nbformat.reads(json.dumps(content), as_version=4)
        nbformat.validate(notebook)
    except (ValueError, KeyError, nbformat.ValidationError) as error:
        raise Failure(f"not a notebook of format 4: {error}") from error
    return notebook


def run(committed, folder, timeout):
    """Returns a copy of the notebook, executed, with metadata that is the same at every run."""
    notebook = copy.deepcopy(committed)
    running = "the kernel's start"

    def starts(cell, cell_index):
        nonlocal running
        running = title(cell_index + 1, cell)

    client = NotebookClient(notebook, kernel_name=KERNEL["name"], timeout=timeout, record_timing=False, on_cell_start=starts,
                            resources={"metadata": {"path": str(folder)}})
    with open(LAB / "kernel.log", "w") as log:
        try:
            client.execute(stderr=log)
        except CellTimeoutError:
            raise Failure(f"{running} did not end within {timeout} s (--timeout gives more)") from None
        except CellExecutionError as error:
            raise Failure(f"{running} failed:\n{error}") from None
        except DeadKernelError:
            raise Failure(f"{running}: the kernel died; .lab/kernel.log says more") from None
        except NoSuchKernel:
            raise Failure("there is no Go kernel in .lab/venv: run lab/setup") from None
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": notebook.metadata.get("language_info", {})})
    notebook.metadata.language_info.pop("version", None)
    for cell in notebook.cells:
        for key in PASSING_METADATA:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = merged(cell.outputs)
    return notebook


def merged(outputs):
    """Joins neighbours that are pieces of one stream: where a stream is cut depends on the moment."""
    result = []
    for stream, pieces in itertools.groupby(outputs, key=lambda output: output.get("name")):
        pieces = list(pieces)
        if stream:
            pieces[0].text = "".join(piece.text for piece in pieces)
            pieces = pieces[:1]
        result += pieces
    return result


def channels(cell):
    """Returns what the cell put out: each stream's text, and pictures and errors in order.

    Text and pictures reach the kernel through separate pipes, so their order among each other says nothing.
    """
    found, displays = {}, 0
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            found[output.name] = found.get(output.name, "") + output.text
        elif output.output_type == "error":
            found["error"] = "\n".join(output.traceback)
        else:
            displays += 1
            for kind, content in output.data.items():
                found[f"display {displays} {kind}"] = content if isinstance(content, str) else json.dumps(content, indent=1, sort_keys=True)
    return found


def difference(old, new):
    """Yields the lines of a unified diff; none where the outputs agree."""
    before, after = channels(old), channels(new)
    for name in sorted(before.keys() | after.keys()):
        committed, now = before.get(name), after.get(name)
        if committed == now or is_volatile(new) and None not in (committed, now):
            continue
        for line in difflib.unified_diff((committed or "").splitlines(keepends=True), (now or "").splitlines(keepends=True),
                                         f"committed {name}", f"executed {name}"):
            yield shortened(line.removesuffix("\n")) + ("" if line.endswith("\n") else "  (no newline at its end)")


def is_volatile(cell):
    return "volatile" in cell.metadata.get("tags", [])


def shortened(line):
    return line if len(line) <= 300 else f"{line[:300]}… ({len(line)} characters)"


def title(number, cell):
    """Names a cell by its place and the first line that says something."""
    lines = [line.strip() for line in cell.source.splitlines()]
    return f"cell {number} ({next((line for line in lines if line.strip('%')), '')!r})"


if __name__ == "__main__":
    sys.exit(main())
